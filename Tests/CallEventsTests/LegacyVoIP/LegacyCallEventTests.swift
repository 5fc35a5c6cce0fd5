// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("One-to-one calls, Matrix specification \"Voice over IP\"")
struct LegacyCallEventTests {
    static func decode(_ name: String, _ fields: String, version: String = #""1""#) throws -> CallEvent {
        CallEvent.decode(try EventSamples.event(EventSamples.legacy(name, fields, version: version)))
    }

    static func legacy(_ name: String, _ fields: String, version: String = #""1""#) throws -> LegacyCallEvent {
        guard case .legacy(let event) = try decode(name, fields, version: version) else {
            throw EventRefusal.notAnObject
        }
        return event
    }

    static let offer = #""offer":{"type":"offer","sdp":"v=0"}"#

    @Test("an invite")
    func invite() throws {
        let fields = #"""
            \#(Self.offer),"lifetime":60000,"invitee":"@bob:example.com","capabilities":{"m.call.dtmf":true},
            "org.matrix.msc3077.sdp_stream_metadata":{"s":{"purpose":"m.screenshare","video_muted":true},"t":7}
            """#
        guard case .invite(let invite) = try Self.legacy("invite", fields) else {
            Issue.record("no invite")
            return
        }
        #expect(invite.header.callID == "c1")
        #expect(invite.header.partyID == "P")
        #expect(invite.header.version == .one)
        #expect(invite.offer.sdp == "v=0")
        #expect(invite.invitee?.rawValue == "@bob:example.com")
        #expect(invite.capabilities.takesDTMF && !invite.capabilities.canBeTransferred)
        #expect(invite.streams?.streams.count == 1)
        #expect(invite.streams?.streams["s"]?.purpose == .screenShare)
        #expect(invite.streams?.streams["s"]?.isVideoMuted == true)
        #expect(invite.remainingLifetime(at: EventSamples.now + 500) == 59_988)
    }

    @Test(
        "versions",
        arguments: [
            (#""1""#, LegacyCallHeader.Version.one), ("0", .zero), (#""0""#, .zero), (#""7""#, .one), ("1", .one),
            ("{}", .one),
        ])
    func versions(_ text: String, _ version: LegacyCallHeader.Version) throws {
        #expect(try Self.legacy("reject", "", version: text).header.version == version)
    }

    @Test("candidates and their end")
    func candidates() throws {
        let fields = #""candidates":[{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0},{"candidate":""}]"#
        guard case .candidates(let event) = try Self.legacy("candidates", fields) else {
            Issue.record("no candidates")
            return
        }
        #expect(event.candidates.count == 2)
        #expect(event.candidates[0].mediaLineIndex == 0)
        #expect(!event.candidates[0].isEndOfCandidates && event.candidates[1].isEndOfCandidates)
    }

    @Test("the other families")
    func others() throws {
        guard case .answer(let answer) = try Self.legacy("answer", #""answer":{"type":"answer","sdp":"x"}"#),
            case .selectAnswer(let select) = try Self.legacy("select_answer", #""selected_party_id":"Q""#),
            case .negotiate(let negotiate) = try Self.legacy(
                "negotiate", #""description":{"type":"answer","sdp":"y"},"lifetime":1"#),
            case .hangup(let busy) = try Self.legacy("hangup", #""reason":"user_busy""#),
            case .hangup(let odd) = try Self.legacy("hangup", #""reason":"aliens""#),
            case .hangup(let silent) = try Self.legacy("hangup", ""),
            case .streamMetadataChanged(let change) = try Self.legacy(
                "sdp_stream_metadata_changed", EventSamples.metadata),
            case .assertedIdentity(let identity) = try Self.legacy(
                "asserted_identity", #""asserted_identity":{"id":"@c:h","display_name":"C"}"#)
        else {
            Issue.record("a family is missing")
            return
        }
        #expect(answer.answer.sdp == "x")
        #expect(select.selectedPartyID == "Q")
        #expect(negotiate.description.kind == .answer)
        #expect(busy.reason == .userBusy)
        #expect(odd.reason == .other)
        #expect(silent.reason == .unstated)
        #expect(change.metadata.streams["s1"]?.isAudioMuted == true)
        #expect(identity.userID?.rawValue == "@c:h")
    }

    @Test(
        "malformed call events are refused",
        arguments: [
            ("invite", #""lifetime":1"#, EventRefusal.missingDescription),
            ("invite", #""offer":{"type":"answer","sdp":"x"},"lifetime":1"#, .invalidDescriptionType),
            ("invite", #""offer":{"type":"offer"},"lifetime":1"#, .missingDescription),
            ("invite", offer, .invalidLifetime),
            ("invite", #"\#(offer),"lifetime":-1"#, .invalidLifetime),
            ("invite", #"\#(offer),"lifetime":1,"invitee":"bob""#, .invalidInvitee),
            ("candidates", #""candidates":{}"#, .invalidCandidates),
            ("candidates", #""candidates":[1]"#, .invalidCandidates),
            ("candidates", #""candidates":[{}]"#, .invalidCandidates),
            ("select_answer", "", .missingSelectedParty),
            ("negotiate", #""description":{"type":"rollback","sdp":""},"lifetime":1"#, .invalidDescriptionType),
            ("sdp_stream_metadata_changed", "", .missingStreamMetadata),
            ("asserted_identity", "", .missingAssertedIdentity),
        ])
    func refusals(_ name: String, _ fields: String, _ refusal: EventRefusal) throws {
        #expect(try Self.decode(name, fields) == .refused(refusal))
    }

    @Test("a call needs an id, and its parts have limits")
    func limits() throws {
        let noID = EventSamples.text(type: "m.call.reject", content: #"{"version":"1"}"#)
        #expect(CallEvent.decode(try EventSamples.event(noID)) == .refused(.missingCallID))
        let many = Array(repeating: #"{"candidate":""}"#, count: 257).joined(separator: ",")
        #expect(try Self.decode("candidates", #""candidates":[\#(many)]"#) == .refused(.tooManyCandidates))
        let long = String(repeating: "s", count: 65_537)
        #expect(try Self.decode("answer", #""answer":{"type":"answer","sdp":"\#(long)"}"#) == .refused(.oversizeField))
        let streams = (0..<80).map { #""s\#($0)":{}"# }.joined(separator: ",")
        guard
            case .streamMetadataChanged(let change) = try Self.legacy(
                "sdp_stream_metadata_changed", #""sdp_stream_metadata":{\#(streams)}"#)
        else {
            Issue.record("no change")
            return
        }
        #expect(change.metadata.streams.count == CallStreamMetadata.maximumStreamCount)
    }
}
