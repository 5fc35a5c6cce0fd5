// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import Testing

@testable import MatrixBridge

@Suite("Call coordinator")
struct CallCoordinatorTests {
    static let room = Identifier.room("!room:example.com")
    static let alice = Identifier.user("@alice:example.com")
    static let liveKitRoom = "krj2dgxw2K6EOm9he4GfQJ6JsSVWfJ8a7BkyjZcSmxs"

    let focus = FakeFocus()
    let clock = ManualClock()
    let issued = IssuedIdentities()
    let facts = RoomFactsBook()
    let events = TransactionInboxTests()
    let enforcement: CallEnforcement

    init() {
        enforcement = .ofTests(focus, issued, facts)
    }

    func coordinator(_ database: Database) -> CallCoordinator {
        CallCoordinator(
            database: database, enforcement: enforcement, facts: facts,
            membershipPolicy: BotMembershipPolicy(
                bot: FakeHomeserver.bot, access: AccessPolicy(localServer: FakeHomeserver.local)),
            errands: WakeUps(), clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func transaction(_ sequence: Int64, _ list: JSONValue...) -> StoredTransaction {
        StoredTransaction(sequence: sequence, id: "\(sequence)", body: TransactionInboxTests.body(list))
    }

    @Test("who leaves the room or is banned is taken out of its calls", arguments: ["leave", "ban"])
    func leaving(membership: String) async throws {
        let coordinator = coordinator(try Database(path: ":memory:"))
        try await coordinator.consume(transaction(1, events.membership(event: "$1")))
        #expect(await focus.removed.isEmpty)
        let unannounced = FocusParticipant(room: "other", identity: "hashed")
        _ = issued.record(unannounced, of: Self.alice, in: Self.room)
        try await coordinator.consume(transaction(2, events.member(membership, event: "$2")))
        #expect(
            Set(await focus.removed) == [
                FocusParticipant(room: Self.liveKitRoom, identity: "@alice:example.com:DEVICE"), unannounced,
            ])
        #expect(await coordinator.calls.isEmpty)
        #expect(enforcement.measures[.userLeftRoom] == 2)
    }

    @Test("joining, inviting and knocking take nobody out", arguments: ["join", "invite", "knock"])
    func staying(membership: String) async throws {
        let coordinator = coordinator(try Database(path: ":memory:"))
        _ = issued.record(FocusParticipant(room: "r", identity: "i"), of: Self.alice, in: Self.room)
        try await coordinator.consume(transaction(1, events.member(membership, event: "$1")))
        #expect(await focus.removed.isEmpty)
    }

    @Test("a membership expires when time has passed, also over a restart")
    func expiry() async throws {
        let database = try Database(path: ":memory:")
        let first = coordinator(database)
        try await first.consume(transaction(1, events.membership(event: "$1")))
        clock.advance(milliseconds: 14_399_000)
        try await first.expire()
        #expect(await first.calls.count == 1)
        let second = coordinator(database)
        try await second.restore()
        #expect(await second.calls.count == 1)
        clock.advance(milliseconds: 1_001)
        try await second.expire()
        #expect(await second.calls.isEmpty)
        let third = coordinator(database)
        try await third.restore()
        #expect(await third.calls.isEmpty)
    }

    @Test("the hashed identity of a newer client is taken out with its user", arguments: ["leave", "ban"])
    func hashedIdentity(membership: String) async throws {
        let exchanges = TokenExchangeTests()
        await exchanges.homeserver.set("tok", belongsTo: Self.alice.rawValue)
        _ = try await exchanges.exchange(membership: .never).answer { TokenExchangeTests.slot() }
        let request = TokenExchangeTests.slot()
        let coordinator = CallCoordinator(
            database: try Database(path: ":memory:"), enforcement: .ofTests(focus, exchanges.issued),
            facts: RoomFactsBook(),
            membershipPolicy: BotMembershipPolicy(
                bot: FakeHomeserver.bot, access: AccessPolicy(localServer: FakeHomeserver.local)),
            errands: WakeUps(), clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await coordinator.consume(transaction(1, events.member(membership, event: "$1")))
        let identity = request.liveKitIdentity(of: Self.alice)
        #expect(!identity.contains("alice"))
        #expect(await focus.removed == [FocusParticipant(room: request.liveKitRoom, identity: identity)])
    }

    @Test("the issued identities of one user are bounded: the oldest gives way and is named")
    func issuedIdentities() {
        let table = IssuedIdentities()
        func record(_ number: Int) -> FocusParticipant? {
            table.record(FocusParticipant(room: "r", identity: "\(number)"), of: Self.alice, in: Self.room)
        }
        for number in 0..<IssuedIdentities.maximumIdentities { #expect(record(number) == nil) }
        #expect(record(0) == nil)
        #expect(record(1_000)?.identity == "1")
        let removed = table.remove(user: Self.alice, from: Self.room)
        #expect(removed.count == IssuedIdentities.maximumIdentities)
        #expect(removed.contains(FocusParticipant(room: "r", identity: "0")))
        #expect(table.remove(user: Self.alice, from: Self.room).isEmpty)
    }

    @Test("beyond the limit those whose last token is oldest are forgotten")
    func issuedUsers() {
        let table = IssuedIdentities()
        let participant = FocusParticipant(room: "r", identity: "i")
        func user(_ number: Int) -> UserID { UserID("@u\(number):example.com") ?? Self.alice }
        for number in 0..<IssuedIdentities.maximumEntries {
            _ = table.record(participant, of: user(number), in: Self.room)
        }
        _ = table.record(participant, of: user(0), in: Self.room)
        _ = table.record(participant, of: Self.alice, in: Self.room)
        #expect(table.remove(user: user(0), from: Self.room) == [participant])
        #expect(table.remove(user: user(1), from: Self.room).isEmpty)
        #expect(table.remove(user: Self.alice, from: Self.room) == [participant])
    }
}
