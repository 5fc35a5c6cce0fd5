// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Testing

@testable import MatrixBridge

@Suite("Sweep: members of rooms that send us no events")
struct MembershipSweepTests {
    static let room = TransactionInboxTests.room
    static let alice = TransactionInboxTests.alice
    static let full = CallEnforcementTests.full

    /// Answers of a homeserver.
    struct Answers: MembershipChecking {
        var found: AccessPolicy.Membership
        var known: RoomFacts?
        var seen: UInt64 = 0

        func membership(of user: UserID, in room: RoomID) async -> AccessPolicy.Membership { found }
        func facts(of room: RoomID, for user: UserID) async throws(TokenExchangeRefusal) -> RoomFacts? { known }
        func version(of room: RoomID) -> UInt64 { seen }
    }

    let focus = FakeFocus()
    let issued = IssuedIdentities()
    let phone = FocusParticipant(room: "call", identity: "phone")

    func sweep(_ answers: Answers, isPresent: Bool = true) async {
        _ = issued.record(phone, of: Self.alice, in: Self.room, rights: Self.full)
        if isPresent { await focus.enter(phone) }
        await MembershipSweep(
            membership: answers, issued: issued, focus: focus, enforcement: .ofTests(focus, issued),
            clock: ManualClock().clock
        ).sweep()
    }

    @Test("who is not joined any more is taken out")
    func removal() async {
        await sweep(Answers(found: .notJoined))
        #expect(await focus.removed == [phone])
        #expect(issued.holders().isEmpty)
    }

    @Test("F14: a homeserver that fails, a room nobody sees, a client that is not there: nobody is removed")
    func noRemoval() async {
        await sweep(Answers(found: .lookupFailed("down")))
        await sweep(Answers(found: .notVisible))
        await sweep(Answers(found: .joined))
        await sweep(Answers(found: .notJoined, seen: 7))
        #expect(await focus.removed.isEmpty)
        await focus.exit(phone)
        await sweep(Answers(found: .notJoined), isPresent: false)
        #expect(await focus.removed.isEmpty)
    }

    @Test("levels are followed, too")
    func levels() async {
        await sweep(Answers(found: .joined, known: AccessPolicyTests.facts(level: 0)))
        #expect(await focus.rights[phone]?.map(\.canPublish) == [false])
        await sweep(Answers(found: .joined, known: AccessPolicyTests.facts(level: 50)))
        #expect(await focus.removed.isEmpty)
    }
}
