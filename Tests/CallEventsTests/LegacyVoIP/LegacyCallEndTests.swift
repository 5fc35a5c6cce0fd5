// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

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
        #expect(line.take(try Line.invite()) == [.send(.reject(.userBusy), try Line.end()), .refused(.notAllowed)])
        #expect(line.take(try Line.invite()) == [.refused(.callOver)])
        // Nobody gets more answers than there may be invites.
        line.admission = .rateLimited
        #expect(line.take(try Line.invite(call: "c2")) == [.refused(.rateLimited)])
    }

    @Test("one user has one call, and the users of another homeserver half of all")
    func shares() throws {
        var line = try Line(maximumCalls: 4)
        func invite(_ call: String, _ room: String, _ user: String) throws -> LegacyCallEvent {
            let text = EventSamples.text(
                type: "m.call.invite",
                content: #"{"call_id":"\#(call)","version":"1","party_id":"P","lifetime":60000,"#
                    + #""offer":{"type":"offer","sdp":"o"}}"#,
                sender: user)
            let sample = try EventSamples.event(text)
            let moved = RoomEvent(
                type: sample.type, sender: sample.sender, roomID: try EventSamples.room(room),
                eventID: sample.eventID, originServerTimestamp: sample.originServerTimestamp,
                content: sample.content, age: 0)
            guard case .legacy(let event) = CallEvent.decode(moved) else { throw EventRefusal.notAnObject }
            return event
        }
        #expect(line.take(try invite("1", "!a:x.org", "@m:x.org")).count == 1)
        #expect(line.take(try invite("2", "!b:x.org", "@m:x.org")).last == .refused(.tooManyCallsOfUser))
        #expect(line.take(try invite("3", "!c:x.org", "@n:x.org")).count == 1)
        #expect(line.take(try invite("4", "!d:x.org", "@o:x.org")).last == .refused(.tooManyCallsOfUser))
        #expect(line.take(try invite("5", "!e:x.org", Line.alice)).count == 1)
        #expect(line.take(try invite("6", "!f:x.org", "@carol:example.com")).count == 1)
        #expect(line.table.entries.count == 4)
    }

    @Test("an invite that is turned down leaves the call that runs alone")
    func turnedDownInCall() throws {
        var line = try Line.answered()
        line.admission = .rateLimited
        #expect(line.take(try Line.invite(call: "c2")) == [.refused(.rateLimited)])
        line.admission = .notAllowed
        #expect(line.take(try Line.invite(call: "c3")).last == .refused(.notAllowed))
        #expect(line.table.entries.map(\.key) == [try Line.key()])
    }

    @Test("what an invite waited here counts, and an answer that comes too late is not given")
    func waited() throws {
        var line = try Line()
        let old = try Line.invite(age: 1_000, receivedAt: Line.now - 56_000)
        #expect(line.take(old) == [.refused(.inviteTooOld)])
        #expect(line.take(try Line.invite(age: 1_000, receivedAt: Line.now - 55_000)).count == 1)
        #expect(try line.answer(at: Line.now + 4_000) == [.stop(try Line.end(), .inviteTimeout)])
        // A key that comes late changes neither.
        let device = try #require(DeviceID("DEVICE"))
        let late = try Line.invite(call: "c2", age: 1_000, receivedAt: Line.now - 56_000, encryptedBy: device)
        #expect(line.take(late) == [.refused(.inviteTooOld)])
    }

    @Test("in an encrypted room nothing counts that came in the clear")
    func clear() throws {
        var line = try Line()
        line.place?.isEncrypted = true
        let device = try #require(DeviceID("DEVICE"))
        #expect(line.take(try Line.invite()) == [.refused(.notEncrypted)])
        #expect(line.take(try Line.candidates(["a"])) == [.refused(.notEncrypted)])
        #expect(line.take(try Line.invite(encryptedBy: device)).count == 1)
        #expect(line.take(try Line.event("hangup")) == [.refused(.notEncrypted)])
        #expect(line.take(try Line.event("hangup", encryptedBy: device)) == [.stop(try Line.end(), .peerHungUp)])
    }

    @Test("strangers where no call would be answered fill nothing")
    func strangers() throws {
        var line = try Line()
        line.place?.isPublic = true
        #expect(line.take(try Line.candidates(["a"])) == [.refused(.publicRoom)])
        #expect(line.take(try Line.event("hangup")) == [.refused(.unknownCall)])
        line.place = Line.privateRoom
        #expect(line.take(try Line.invite()) == [.makeAnswer(try Line.key(), offer: "their offer")])
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
                == [.send(.reject(.userMediaFailed), try Line.end()), .stop(try Line.end(), .mediaRefused)])
        line = try Line.answered()
        #expect(line.table.mediaWentDown(try Line.key()).last == .stop(try Line.end(), .connectionFailed))
        line = try Line.answered()
        line.table.mediaCameUp(try Line.key())
        #expect(
            line.table.mediaWentDown(try Line.key())
                == [.send(.hangup(.iceTimeout), try Line.end()), .stop(try Line.end(), .connectionLost)])
        #expect(line.table.mediaWentDown(try Line.key()).isEmpty)
    }

    @Test("a peer that closes its connection has hung up: we wait for the event, and say nothing")
    func closed() throws {
        var line = try Line.answered()
        let key = try Line.key()
        line.table.mediaCameUp(key)
        line.table.mediaWasClosed(key, at: Line.now)
        #expect(line.table.mediaWentDown(key).isEmpty)
        line.table.mediaWasClosed(key, at: Line.now + 5_000)
        #expect(line.take(try Line.negotiate("offer", "hold")) == [.refused(.outOfTurn)])
        #expect(line.table.advance(to: Line.now + 9_999).isEmpty)
        #expect(line.table.advance(to: Line.now + 10_000) == [.stop(try Line.end(), .peerHungUp)])
    }

    @Test("what the homeserver refuses for good ends the call, and nobody is told of what they never heard")
    func refusedByHomeserver() throws {
        var line = try Line.answered()
        #expect(line.table.homeserverRefused(try Line.key()) == [.stop(try Line.end(), .refusedByHomeserver)])
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
