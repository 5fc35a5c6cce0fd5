// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Remote descriptions and their transport, RFC 8843, RFC 8839")
struct RemoteDescriptionTests {
    @Test("the transport of a single connection's offer")
    func transport() throws {
        let offer = try SDPSamples.offer(SDPSamples.publishing)
        #expect(offer.transport.usernameFragment == "cLnt")
        #expect(offer.transport.password == "clientpasswordclientpw00")
        #expect(offer.transport.fingerprint.bytes.count == 32)
        #expect(offer.transport.fingerprint.bytes.prefix(3) == [0x0A, 0x1B, 0x2C])
        #expect(offer.transport.setup == .actpass)
        #expect(offer.transport.sctpPort == 5000)
        #expect(offer.transport.maxMessageSize == 262144)
        #expect(offer.sections.map(\.mid) == ["0", "1", "2", "3", "4"])
        #expect(offer.sections[4].attributes.msid == MediaStreamIdentifier(stream: "-", track: "camera-cid"))
        #expect(offer.sections[4].attributes.restrictionIdentifiers == ["q", "h", "f"])
        #expect(offer.sections[4].codecs.map(\.payloadType) == [96, 103, 109, 45, 98])
        #expect(offer.sections[4].codecs.map(\.rtxPayloadType) == [97, 104, 114, 46, 99])
        #expect(offer.sections[4].codec(decoding: .h264(.constrainedBaseline, .nonInterleaved))?.payloadType == 109)
        #expect(offer.sections[4].codec(decoding: .h264(.baseline, .singleNALUnit))?.payloadType == 103)
    }

    @Test("Firefox: session-level fingerprint, bundle-only sections are usable")
    func firefox() throws {
        let offer = try SDPSamples.offer(SDPSamples.firefox)
        #expect(offer.transport.usernameFragment == "c1ae0000")
        #expect(offer.transport.sctpPort == nil)
        #expect(offer.sections.map(\.obstacle) == [nil, nil])
        #expect(offer.sections.map(\.direction) == [.sendonly, .sendonly])
        #expect(offer.sections[1].attributes.repairPairs == [RepairPair(media: 2210, repair: 2211)])
        #expect(offer.sections[1].codecs.first?.usesTransportCC == true)
    }

    @Test("in an offer the tagged section speaks for the bundle, other credentials there do not count")
    func uniqueCredentials() throws {
        var text = SDPSamples.session(mids: ["1", "0"]) + SDPSamples.data(mid: "0")
        text += SDPSamples.chromeAudio(mid: "1", direction: "sendonly")
            .replacing("a=ice-ufrag:cLnt", with: "a=ice-ufrag:othr")
        let offer = try SDPSamples.offer(text)
        #expect(offer.taggedIndex == 1)
        #expect(offer.transport.usernameFragment == "othr")
    }

    @Test(
        "in an answer bundled sections must agree",
        arguments: [
            ("a=ice-ufrag:cLnt", "a=ice-ufrag:othr", SDPAttribute.Name.iceUsernameFragment),
            ("a=ice-pwd:client", "a=ice-pwd:clienT", .icePassword),
            ("sha-256 0A", "sha-256 0B", .fingerprint),
        ])
    func conflictingAnswer(old: String, new: String, name: SDPAttribute.Name) throws {
        let audio = SDPSamples.chromeAudio(mid: "1", direction: "recvonly")
        func answer(_ audio: String) throws -> RemoteDescription {
            let text = SDPSamples.session(mids: ["0", "1"]) + SDPSamples.data(mid: "0") + audio
            return try RemoteDescription(answer: SDPParser.parse(text.replacing("actpass", with: "active")))
        }
        #expect(try answer(audio).transport.setup == .active)
        #expect(throws: SDPError(.conflictingTransport(name), at: .section(1))) {
            try answer(audio.replacing(old, with: new))
        }
    }

    @Test("sections that cannot be used say why")
    func obstacles() throws {
        let audio = SDPSamples.chromeAudio(mid: "1", direction: "sendrecv")
        let text =
            SDPSamples.session(mids: ["0", "1", "2", "3", "4"]) + SDPSamples.data(mid: "0") + audio
            + audio.replacing("mid:1", with: "mid:2").replacing("a=rtcp-mux\n", with: "")
            + SDPSamples.data(mid: "3") + "m=text 9 UDP/TLS/RTP/SAVPF 98\na=mid:4\n"
            + audio.replacing("mid:1", with: "mid:5") + "m=video 0 UDP/TLS/RTP/SAVPF 0\na=mid:6\na=ice-ufrag:x\n"
        let offer = try SDPSamples.offer(text)
        #expect(
            offer.sections.map(\.obstacle) == [
                nil, nil, .withoutRTCPMux, .unsupportedKind, .unsupportedKind, .outsideBundle, .stopped,
            ])
    }

    @Test("without a bundle the first usable section stands alone")
    func noBundle() throws {
        let text = (SDPSamples.spareSections).replacing("a=group:BUNDLE 0 1 2 3 4 5 6\n", with: "")
        let offer = try SDPSamples.offer(text)
        #expect(offer.bundle == nil)
        #expect(offer.sections.filter { $0.obstacle == nil }.map(\.mid) == ["0"])
    }

    struct Refusal: CustomTestStringConvertible {
        var testDescription: String
        var old: String
        var new: String
        var error: SDPError
    }

    @Test(
        "an offer is refused",
        arguments: [
            Refusal(
                testDescription: "no fragment", old: "a=ice-ufrag:cLnt\n", new: "",
                error: SDPError(.missingAttribute(.iceUsernameFragment), at: .section(0))),
            Refusal(
                testDescription: "no password", old: "a=ice-pwd:clientpasswordclientpw00\n", new: "",
                error: SDPError(.missingAttribute(.icePassword), at: .section(0))),
            Refusal(
                testDescription: "no fingerprint", old: "a=fingerprint:sha-256 \(SDPSamples.fingerprint)\n", new: "",
                error: SDPError(.missingAttribute(.fingerprint), at: .section(0))),
            Refusal(
                testDescription: "sha-1 only", old: "fingerprint:sha-256", new: "fingerprint:sha-1",
                error: SDPError(.unsupportedFingerprint, at: .section(0))),
            Refusal(
                testDescription: "holdconn", old: "setup:actpass", new: "setup:holdconn",
                error: SDPError(.unsupportedSetup, at: .section(0))),
            Refusal(
                testDescription: "duplicate mid", old: "a=mid:2\n", new: "a=mid:1\n",
                error: SDPError(.duplicateMid, at: .section(2))),
            Refusal(
                testDescription: "no mid", old: "a=mid:2\n", new: "",
                error: SDPError(.missingAttribute(.mid), at: .section(2))),
            Refusal(
                testDescription: "unknown mid in group", old: "BUNDLE 0", new: "BUNDLE 9",
                error: SDPError(.unknownMidInGroup, at: .session)),
            Refusal(
                testDescription: "nothing usable", old: " 9 UDP", new: " 0 UDP",
                error: SDPError(.noUsableSection, at: .description)),
        ])
    func refusals(_ refusal: Refusal) {
        let text = SDPSamples.publishing.replacing(refusal.old, with: refusal.new)
        #expect(throws: refusal.error) { try SDPSamples.offer(text) }
    }

    @Test("an answer must choose a role")
    func answerRole() {
        #expect(throws: SDPError(.unsupportedSetup, at: .section(0))) {
            try RemoteDescription(answer: SDPParser.parse(SDPSamples.publishing))
        }
    }
}
