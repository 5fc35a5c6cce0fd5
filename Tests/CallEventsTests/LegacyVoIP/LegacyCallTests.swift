// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

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
        for name in ["sdp_stream_metadata", "org.matrix.msc3077.sdp_stream_metadata"] {
            #expect(content[name]?["our stream"]?["purpose"] == .string("m.usermedia"))
        }
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
        #expect(answering.table.refusalToCall(alice, in: room, Line.privateRoom) == .tooManyCallsOfUser)
        let late = answering.table.invite(
            alice, from: try Line.end("a"), offering: offer, lifetime: 60_000, at: Line.now)
        #expect(late == [.refused(.tooManyCallsOfUser)])
    }

    @Test("L6: offers of a running call are answered, the newest; we make none, so none collide")
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
        #expect(line.take(try Line.negotiate("answer", "to what?")) == [.refused(.outOfTurn)])
    }

    @Test("L6: an offer that meets the one of our own invite is not taken, as a caller is impolite; theirs comes again")
    func collidingOffers() throws {
        var line = try Line()
        let key = try Line.key()
        let offer = LegacyCallMessage.Description(sdp: "our offer", streamID: nil)
        _ = line.table.invite(
            try EventSamples.user(Line.alice), from: try Line.end(), offering: offer, lifetime: 60_000, at: Line.now)
        let hold = try Line.negotiate("offer", "hold")
        #expect(line.take(hold).allSatisfy { if case .refused = $0 { true } else { false } })
        let answer = try Line.event("answer", #""answer":{"type":"answer","sdp":"their answer"}"#)
        #expect(
            line.take(answer) == [
                .takeAnswer(key, answer: "their answer"), .send(.selectAnswer(partyID: "P"), try Line.end()),
            ])
        #expect(line.take(hold) == [.makeAnswer(key, offer: "hold")])
        #expect(try line.answer() == [.send(.negotiate(.answer, Line.answer), try Line.end())])
    }

    @Test("L6: more offers than anybody needs end the call")
    func offerFlood() throws {
        var line = try Line.answered()
        for second in 0..<20 {
            let now = Line.now + Milliseconds(second) * OfferAllowance.interval
            #expect(line.take(try Line.negotiate("offer", "hold"), at: now).count == 1)
            #expect(try line.answer().count == 1)
        }
        var actions: [LegacyCallAction] = []
        for _ in 0...OfferAllowance.burst {
            actions += line.take(try Line.negotiate("offer", "hold"), at: Line.now + 20_000)
        }
        #expect(
            actions.suffix(2)
                == [.send(.hangup(.unknownError), try Line.end()), .stop(try Line.end(), .tooManyOffers)])
        #expect(line.table.isEmpty)
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
        line.table.mediaCameUp(try Line.key())
        #expect(line.take(try Line.event("hangup", isVersionZero: true)) == [.stop(end, .peerHungUp)])

        var full = try Line(maximumCalls: 1)
        _ = full.take(try Line.invite(call: "c0", from: "@carol:example.com"))
        #expect(
            full.take(try Line.invite(isVersionZero: true))
                == [.send(.hangup(.userBusy), end), .refused(.tooManyCalls)])
        #expect(
            full.take(try Line.invite(call: "c2"))
                == [.send(.reject(.userBusy), try Line.end("c2")), .refused(.tooManyCalls)])
        #expect(LegacyCallMessage.reject(.userBusy).content(from: end)["reason"] == .string("user_busy"))
        var none = try Line(maximumCalls: 0)
        #expect(none.take(try Line.invite()) == [.refused(.tooManyCalls)])
    }
}
