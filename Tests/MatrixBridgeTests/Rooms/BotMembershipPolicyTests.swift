// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("The bot's membership of rooms")
struct BotMembershipPolicyTests {
    static let remote = Identifier.user("@bob:remote.test")
    static let alice = Identifier.user("@alice:example.com")

    private func decision(
        _ membership: String, by sender: UserID = alice, of user: UserID = FakeHomeserver.bot,
        fullAccess: AccessPolicy.FullAccess? = nil,
    ) throws -> BotMembershipPolicy.Decision? {
        let event = RoomEvent(
            type: "m.room.member", sender: sender, roomID: Identifier.room("!room:example.com"),
            eventID: try #require(EventID("$1")), stateKey: user.rawValue, originServerTimestamp: 0,
            content: ["membership": .string(membership)])
        guard case .roomMember(let member) = CallEvent.decode(event) else { return nil }
        let access = AccessPolicy(localServer: FakeHomeserver.local, fullAccess: fullAccess)
        return BotMembershipPolicy(bot: FakeHomeserver.bot, access: access).decision(on: member, by: sender)
    }

    @Test("an invitation counts by the server it comes from")
    func invitations() throws {
        #expect(try decision("invite") == .errand(.join))
        #expect(try decision("invite", by: Self.remote) == .errand(.decline))
        let listed = AccessPolicy.FullAccess.servers([Self.remote.serverName])
        #expect(try decision("invite", by: Self.remote, fullAccess: listed) == .errand(.join))
        #expect(try decision("invite", fullAccess: listed) == .errand(.join))
        #expect(try decision("invite", by: Self.remote, fullAccess: .everyone) == .errand(.join))
    }

    @Test("a join asks for the state, a leave or ban ends the watch, a knock means nothing")
    func others() throws {
        #expect(try decision("join") == .errand(.readState))
        #expect(try decision("leave") == .forgetRoom)
        #expect(try decision("ban") == .forgetRoom)
        #expect(try decision("knock") == nil)
    }

    @Test("what happens to others is not the bot's", arguments: ["invite", "join", "leave", "ban"])
    func notTheBot(membership: String) throws {
        #expect(try decision(membership, of: Self.alice) == nil)
    }

    @Test("what a failed request means for an errand")
    func outcomes() {
        func refused(_ status: Int, retryAfter: UInt64? = nil) -> RoomErrand.Outcome {
            RoomErrand.Outcome(
                .refused(
                    MatrixError(status: status, code: .forbidden, message: "", retryAfterMilliseconds: retryAfter)))
        }
        #expect(refused(403) == .refused(.forbidden))
        #expect(refused(404).isFinal)
        #expect(refused(429, retryAfter: 5) == .failed(requestedDelayMilliseconds: 5))
        #expect(!refused(502).isFinal)
        #expect(!refused(401).isFinal)
        #expect(RoomErrand.Outcome(.noAnswer(.timedOut)) == .failed(requestedDelayMilliseconds: nil))
        #expect(RoomErrand.Outcome(.noAnswer(.bodyTooLarge(limit: 1))) == .unreadable)
        #expect(RoomErrand.Outcome(.unexpectedAnswer(request: "state")).isFinal)
    }
}
