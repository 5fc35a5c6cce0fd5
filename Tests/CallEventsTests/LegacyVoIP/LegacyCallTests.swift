// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

/// A table of calls with the bot, and the events of those who call it.
private struct Line {
    static let now = EventSamples.now
    static let bot = "@callbot:example.com"
    static let alice = "@alice:example.com"
    static let answer = LegacyCallMessage.Description(sdp: "our answer", streamID: "our stream")
    static let privateRoom = LegacyCallPlace(isPublic: false, joinedCount: 2)

    var table: LegacyCallTable
    var place: LegacyCallPlace? = privateRoom
    var admission: LegacyCallRefusal?

    init(maximumCalls: Int = 10) throws {
        var limits = LegacyCallLimits()
        limits.maximumCalls = maximumCalls
        table = LegacyCallTable(me: try EventSamples.user(Self.bot), limits: limits)
    }

    static func key(_ call: String = "c1") throws -> LegacyCallKey {
        LegacyCallKey(roomID: try EventSamples.room(), callID: call)
    }

    static func end(
        _ call: String = "c1", version: LegacyCallHeader.Version = .one, party: String = "OURS"
    ) throws -> LegacyCallEnd {
        LegacyCallEnd(key: try key(call), partyID: party, version: version)
    }

    static func event(
        _ name: String, _ fields: String = "", call: String = "c1", party: String? = "P", from sender: String = alice,
        age: Milliseconds = 0, isVersionZero: Bool = false
    ) throws -> LegacyCallEvent {
        var head = #""call_id":"\#(call)","version":\#(isVersionZero ? "0" : #""1""#)"#
        if let party, !isVersionZero { head += #","party_id":"\#(party)""# }
        let content = "{" + head + (fields.isEmpty ? "" : ",") + fields + "}"
        let text = EventSamples.text(type: "m.call.\(name)", content: content, sender: sender)
            .replacing(#""age":12"#, with: #""age":\#(age)"#)
        guard case .legacy(let event) = CallEvent.decode(try EventSamples.event(text)) else {
            throw EventRefusal.notAnObject
        }
        return event
    }

    static func invite(
        call: String = "c1", party: String? = "P", from sender: String = alice, age: Milliseconds = 0,
        invitee: String? = nil, isVersionZero: Bool = false
    ) throws -> LegacyCallEvent {
        let whom = invitee.map { #","invitee":"\#($0)""# } ?? ""
        return try event(
            "invite", #""offer":{"type":"offer","sdp":"their offer"},"lifetime":60000\#(whom)"#, call: call,
            party: party, from: sender, age: age, isVersionZero: isVersionZero)
    }

    static func candidates(_ lines: [String], party: String = "P", from sender: String = alice) throws
        -> LegacyCallEvent
    {
        let list = lines.map { #"{"candidate":"\#($0)","sdpMid":"0"}"# }.joined(separator: ",")
        return try event("candidates", #""candidates":[\#(list)]"#, party: party, from: sender)
    }

    static func negotiate(_ kind: String, _ sdp: String, party: String = "P") throws -> LegacyCallEvent {
        try event("negotiate", #""description":{"type":"\#(kind)","sdp":"\#(sdp)"},"lifetime":60000"#, party: party)
    }

    mutating func take(_ events: LegacyCallEvent..., at now: UnixMilliseconds = Self.now) -> [LegacyCallAction] {
        table.receive(events, at: now, place: { _ in place }, partyID: { "OURS" }, admit: { _ in admission })
    }

    mutating func answer(at now: UnixMilliseconds = Self.now) throws -> [LegacyCallAction] {
        table.answered(try Self.key(), with: Self.answer, at: now)
    }

    /// A call that was answered.
    static func answered(isVersionZero: Bool = false) throws -> Line {
        var line = try Line()
        _ = line.take(try invite(isVersionZero: isVersionZero))
        _ = try line.answer()
        return line
    }
}

@Suite("One-to-one calls that are answered: scenarios L1 to L7")
struct LegacyCallTests {
    @Test("L1: an invite with 2 s left, for somebody else, in a public, full or unknown room is not answered")
    func notAnswered() throws {
        var line = try Line()
        #expect(line.take(try Line.invite(age: 58_000)) == [.refused(.inviteTooOld)])
        #expect(line.take(try Line.invite(invitee: "@bob:example.com")) == [.refused(.otherInvitee)])
        line.place?.isPublic = true
        #expect(line.take(try Line.invite()) == [.refused(.publicRoom)])
        line.place = LegacyCallPlace(isPublic: false, joinedCount: 3)
        #expect(line.take(try Line.invite()) == [.refused(.crowdedRoom)])
        line.place = nil
        #expect(line.take(try Line.invite()) == [.refused(.unknownRoom)])
        line.place = Line.privateRoom
        #expect(line.take(try Line.invite(from: Line.bot)) == [.refused(.ownEvent)])
        #expect(line.table.isEmpty)
        // The one that is answered: just enough time, for us, alone with us.
        #expect(
            line.take(try Line.invite(age: 56_000, invitee: Line.bot))
                == [.makeAnswer(try Line.key(), offer: "their offer")])
    }

    @Test("L2: candidates before the invite are kept and applied, those of others are not, and not too many")
    func earlyCandidates() throws {
        var line = try Line()
        #expect(line.take(try Line.candidates(["a", "b"])).isEmpty)
        #expect(line.take(try Line.candidates(["x"], party: "Q")).isEmpty)
        #expect(line.take(try Line.candidates(["y"], from: "@carol:example.com")).isEmpty)
        #expect(line.take(try Line.candidates(["c"])).isEmpty)
        let actions = line.take(try Line.invite())
        #expect(actions.count == 2)
        guard case .addCandidates(_, let candidates) = actions.last else {
            Issue.record("no candidates")
            return
        }
        #expect(candidates.map(\.line) == ["a", "b", "c"])
        #expect(candidates.first?.mediaID == "0")
        // Afterwards they go through at once.
        #expect(line.take(try Line.candidates(["d"])).count == 1)
        #expect(line.take(try Line.candidates(["x"], party: "Q")) == [.refused(.otherParty)])
    }

    @Test("L2: what waits for an invite is bounded in number and time")
    func earlyCandidatesBounds() throws {
        var line = try Line()
        let many = Array(repeating: "a", count: EarlyCandidates.maximumCandidates)
        #expect(line.take(try Line.candidates(many)).isEmpty)
        #expect(line.take(try Line.candidates(["b"])) == [.refused(.tooManyEarlyCandidates)])
        for number in 1..<EarlyCandidates.maximumSources {
            #expect(line.take(try Line.candidates(["a"], party: "P\(number)")).isEmpty)
        }
        #expect(line.take(try Line.candidates(["a"], party: "one more")) == [.refused(.tooManyEarlyCandidates)])
        let later = Line.now + EarlyCandidates.lifetime
        #expect(line.take(try Line.candidates(["a"], party: "one more"), at: later).isEmpty)
        #expect(line.take(try Line.invite(), at: later) == [.makeAnswer(try Line.key(), offer: "their offer")])
    }

    @Test("an invite is answered with everything in it, and the end of candidates")
    func answer() throws {
        var line = try Line()
        _ = line.take(try Line.invite())
        let end = try Line.end()
        #expect(try line.answer() == [.send(.answer(Line.answer), end), .send(.endOfCandidates, end)])
        let content = LegacyCallMessage.answer(Line.answer).content(from: end)
        #expect(content["version"] == .string("1"))
        #expect(content["party_id"] == .string("OURS"))
        #expect(content["answer"]?["sdp"] == .string("our answer"))
        #expect(content["sdp_stream_metadata"]?["our stream"]?["purpose"] == .string("m.usermedia"))
        // Once.
        #expect(try line.answer().isEmpty)
    }

    @Test("L3: another party is selected: we stop and say nothing")
    func answeredElsewhere() throws {
        var line = try Line.answered()
        let other = try Line.event("select_answer", #""selected_party_id":"OTHER""#)
        #expect(
            line.take(try Line.event("select_answer", #""selected_party_id":"OTHER""#, party: "Q"))
                == [.refused(.otherParty)])
        #expect(line.take(other) == [.stop(try Line.end(), .answeredElsewhere)])
        #expect(line.table.isEmpty)
        // The same while our answer is being made.
        line = try Line()
        _ = line.take(try Line.invite())
        #expect(line.take(other) == [.stop(try Line.end(), .answeredElsewhere)])
        #expect(try line.answer().isEmpty)
    }

    @Test("L4: the hang-up of another party counts while it rings, not once the call stands")
    func hangupOfOtherParty() throws {
        var line = try Line.answered()
        let foreign = try Line.event("hangup", party: "Q")
        #expect(line.take(try Line.event("hangup", from: "@carol:example.com")) == [.refused(.otherUser)])
        #expect(line.take(foreign) == [.stop(try Line.end(), .peerHungUp)])
        line = try Line.answered()
        #expect(line.take(try Line.event("select_answer", #""selected_party_id":"OURS""#)).isEmpty)
        #expect(line.take(foreign) == [.refused(.otherParty)])
        #expect(line.take(try Line.event("hangup")) == [.stop(try Line.end(), .peerHungUp)])
        line = try Line.answered()
        line.table.mediaCameUp(try Line.key())
        #expect(line.take(foreign) == [.refused(.otherParty)])
    }

    @Test("L5: of two invites that cross, the one with the smaller call id survives")
    func glare() throws {
        let alice = try EventSamples.user(Line.alice)
        let offer = LegacyCallMessage.Description(sdp: "our offer", streamID: nil)
        func calling(_ call: String) throws -> Line {
            var line = try Line()
            let end = try Line.end(call)
            let actions = line.table.invite(
                alice, from: end, offering: offer, lifetime: 60_000, at: Line.now)
            #expect(actions == [.send(.invite(offer, invitee: alice, lifetime: 60_000), end)])
            return line
        }
        var ours = try calling("a")
        #expect(ours.take(try Line.invite(call: "b")) == [.refused(.outranked)])
        let answer = try Line.event("answer", #""answer":{"type":"answer","sdp":"their answer"}"#, call: "a")
        #expect(
            ours.take(answer) == [
                .takeAnswer(try Line.key("a"), answer: "their answer"),
                .send(.selectAnswer(partyID: "P"), try Line.end("a")),
            ])
        // The first answer was taken.
        #expect(ours.take(answer) == [.refused(.outOfTurn)])

        var theirs = try calling("b")
        #expect(
            theirs.take(try Line.invite(call: "a")) == [
                .send(.hangup(.replaced), try Line.end("b")), .stop(try Line.end("b"), .replaced),
                .makeAnswer(try Line.key("a"), offer: "their offer"),
            ])
        // Before we call, a call that is there already is answered instead.
        var answering = try Line()
        let room = try EventSamples.room()
        #expect(answering.table.refusalToCall(alice, in: room, Line.privateRoom) == nil)
        let crowd = LegacyCallPlace(isPublic: false, joinedCount: 3)
        #expect(answering.table.refusalToCall(alice, in: room, crowd) == .crowdedRoom)
        _ = answering.take(try Line.invite())
        #expect(answering.table.refusalToCall(alice, in: room, Line.privateRoom) == .tooManyCalls)
        let late = answering.table.invite(
            alice, from: try Line.end("a"), offering: offer, lifetime: 60_000, at: Line.now)
        #expect(late == [.refused(.tooManyCalls)])
    }

    @Test("L6: offers of a running call are answered; of two that collide, the callee takes its own back")
    func negotiation() throws {
        var line = try Line.answered()
        let key = try Line.key()
        let end = try Line.end()
        #expect(line.take(try Line.negotiate("offer", "hold", party: "Q")) == [.refused(.otherParty)])
        #expect(line.take(try Line.negotiate("offer", "hold")) == [.makeAnswer(key, offer: "hold")])
        // The newest offer counts.
        #expect(line.take(try Line.negotiate("offer", "first"), try Line.negotiate("offer", "second")).isEmpty)
        let reply = LegacyCallAction.send(.negotiate(.answer, Line.answer), end)
        #expect(try line.answer() == [reply, .makeAnswer(key, offer: "second")])
        #expect(try line.answer() == [reply])
        // We offer, and so do they.
        let ours = LegacyCallMessage.Description(sdp: "ours", streamID: nil)
        #expect(line.table.offer(key, ours) == [.send(.negotiate(.offer, ours), end)])
        #expect(line.table.offer(key, ours) == [.refused(.outOfTurn)])
        #expect(
            line.take(try Line.negotiate("offer", "theirs")) == [.rollBack(key), .makeAnswer(key, offer: "theirs")])
        _ = try line.answer()
        #expect(line.take(try Line.negotiate("answer", "late")) == [.refused(.outOfTurn)])
        _ = line.table.offer(key, ours)
        #expect(line.take(try Line.negotiate("answer", "fine")) == [.takeAnswer(key, answer: "fine")])
    }

    @Test("L6: the caller insists on its own offer")
    func callerInsists() throws {
        var line = try Line()
        let description = LegacyCallMessage.Description(sdp: "ours", streamID: nil)
        _ = line.table.invite(
            try EventSamples.user(Line.alice), from: try Line.end(), offering: description, lifetime: 60_000,
            at: Line.now)
        _ = line.take(try Line.event("answer", #""answer":{"type":"answer","sdp":"their answer"}"#))
        _ = line.table.offer(try Line.key(), description)
        #expect(line.take(try Line.negotiate("offer", "theirs")) == [.refused(.collidingOffer)])
    }

    @Test("L7: with version 0 nothing is selected or negotiated, and a hang-up turns a call down")
    func versionZero() throws {
        var line = try Line()
        _ = line.take(try Line.invite(isVersionZero: true))
        let end = try Line.end(version: .zero)
        #expect(try line.answer() == [.send(.answer(Line.answer), end)])
        let content = LegacyCallMessage.answer(Line.answer).content(from: end)
        #expect(content["version"] == .integer(0))
        #expect(content["party_id"] == nil)
        let selection = try Line.event("select_answer", #""selected_party_id":"X""#, isVersionZero: true)
        #expect(line.take(selection) == [.refused(.notInVersionZero)])
        #expect(line.take(try Line.negotiate("offer", "hold")) == [.refused(.notInVersionZero)])
        #expect(line.table.offer(try Line.key(), Line.answer) == [.refused(.outOfTurn)])
        line.table.mediaCameUp(try Line.key())
        #expect(line.take(try Line.event("hangup", isVersionZero: true)) == [.stop(end, .peerHungUp)])

        var full = try Line(maximumCalls: 0)
        #expect(
            full.take(try Line.invite(isVersionZero: true))
                == [.send(.hangup(.userBusy), end), .refused(.tooManyCalls)])
        #expect(
            full.take(try Line.invite(call: "c2"))
                == [.send(.reject, try Line.end("c2")), .refused(.tooManyCalls)])
    }
}

@Suite("One-to-one calls: how they end")
struct LegacyCallEndTests {
    @Test("a call that is over before it rings is not answered")
    func overBefore() throws {
        var line = try Line()
        #expect(line.take(try Line.invite(), try Line.event("hangup")) == [.refused(.callOver), .refused(.callOver)])
        #expect(line.take(try Line.invite()) == [.refused(.callOver)])
    }

    @Test("who may not call, or calls too often, is turned down")
    func turnedDown() throws {
        var line = try Line()
        line.admission = .notAllowed
        #expect(line.take(try Line.invite()) == [.send(.reject, try Line.end()), .refused(.notAllowed)])
        #expect(line.take(try Line.invite()) == [.refused(.callOver)])
    }

    @Test("a second call of the same user takes the place of the first")
    func replaced() throws {
        var line = try Line.answered()
        #expect(
            line.take(try Line.invite(call: "c2")) == [
                .send(.hangup(.replaced), try Line.end()), .stop(try Line.end(), .replaced),
                .makeAnswer(try Line.key("c2"), offer: "their offer"),
            ])
        #expect(line.take(try Line.invite(call: "c2")) == [.refused(.repeatedInvite)])
    }

    @Test("deadlines: the invite, the connection, the whole call")
    func deadlines() throws {
        var line = try Line()
        _ = line.take(try Line.invite(age: 10_000))
        #expect(line.table.nextDeadline == Line.now + 50_000)
        #expect(line.table.advance(to: Line.now + 49_999).isEmpty)
        // The caller gives up by itself.
        #expect(line.table.advance(to: Line.now + 50_000) == [.stop(try Line.end(), .inviteTimeout)])

        line = try Line.answered()
        #expect(line.table.nextDeadline == Line.now + 30_000)
        #expect(
            line.table.advance(to: Line.now + 30_000)
                == [.send(.hangup(.iceFailed), try Line.end()), .stop(try Line.end(), .connectionFailed)])

        line = try Line.answered()
        line.table.mediaCameUp(try Line.key())
        #expect(line.table.entries.first?.isMediaUp == true)
        #expect(line.table.advance(to: Line.now + 30_000).isEmpty)
        #expect(
            line.table.advance(to: Line.now + 600_000)
                == [.send(.hangup(.userHangup), try Line.end()), .stop(try Line.end(), .tooLong)])
        #expect(line.table.nextDeadline == nil)
    }

    @Test("media that cannot be, did not come or went away")
    func media() throws {
        var line = try Line()
        _ = line.take(try Line.invite())
        #expect(
            line.table.cannotAnswer(try Line.key())
                == [.send(.reject, try Line.end()), .stop(try Line.end(), .mediaRefused)])
        line = try Line.answered()
        #expect(line.table.mediaWentDown(try Line.key()).last == .stop(try Line.end(), .connectionFailed))
        line = try Line.answered()
        line.table.mediaCameUp(try Line.key())
        #expect(
            line.table.mediaWentDown(try Line.key())
                == [.send(.hangup(.iceTimeout), try Line.end()), .stop(try Line.end(), .connectionLost)])
        #expect(line.table.mediaWentDown(try Line.key()).isEmpty)
    }

    @Test("a member who leaves ends the call, and so does a wish of ours")
    func leaving() throws {
        var line = try Line.answered()
        let room = try EventSamples.room()
        #expect(line.table.left(try EventSamples.user("@carol:example.com"), room).isEmpty)
        #expect(
            line.table.left(try EventSamples.user(Line.alice), room) == [.stop(try Line.end(), .peerLeftRoom)])
        line = try Line.answered()
        #expect(line.table.hangUp(in: try EventSamples.room("!other:example.com")).isEmpty)
        #expect(
            line.table.hangUp(in: room)
                == [.send(.hangup(.userHangup), try Line.end()), .stop(try Line.end(), .ended)])
    }

    @Test("what strangers can make it remember is bounded")
    func bounds() throws {
        var line = try Line(maximumCalls: 2)
        for number in 0..<(RecentCalls.maximumCount * 2) {
            _ = line.take(try Line.event("hangup", call: "old\(number)"))
            _ = line.take(try Line.invite(call: "c\(number)", from: "@u\(number):example.com"))
        }
        #expect(line.table.entries.count == 2)
        // The oldest were forgotten, the newest not.
        let newest = RecentCalls.maximumCount * 2 - 1
        #expect(line.take(try Line.invite(call: "old\(newest)", from: "@u0:example.com")) == [.refused(.callOver)])
    }
}
