// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging
import Testing

@testable import MatrixBridge

@Suite("Enforcement in running calls")
struct CallEnforcementTests {
    static let room = TransactionInboxTests.room
    static let alice = TransactionInboxTests.alice
    static let full = ParticipantRights(canPublish: true, canSubscribe: true, canPublishData: true)
    static let listener = ParticipantRights(canPublish: false, canSubscribe: true, canPublishData: false)

    let focus = FakeFocus()
    let clock = ManualClock()
    let issued = IssuedIdentities()
    let facts = RoomFactsBook()
    let events = TransactionInboxTests()
    let phone = FocusParticipant(room: "call", identity: "phone")

    func coordinator() throws -> CallCoordinator {
        CallCoordinator(
            database: try Database(path: ":memory:"), enforcement: .ofTests(focus, issued, facts), facts: facts,
            membershipPolicy: BotMembershipPolicy(
                bot: FakeHomeserver.bot, access: AccessPolicy(localServer: FakeHomeserver.local)),
            errands: WakeUps(), clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func transaction(_ sequence: Int64, _ list: JSONValue...) -> StoredTransaction {
        StoredTransaction(sequence: sequence, id: "\(sequence)", body: TransactionInboxTests.body(list))
    }

    func stateEvent(_ type: String, _ content: JSONValue, event: String) -> JSONValue {
        .object([
            "type": .string(type), "room_id": .string(Self.room.rawValue), "sender": .string(Self.alice.rawValue),
            "event_id": .string(event), "state_key": .string(""), "origin_server_ts": .integer(clock.now),
            "content": content,
        ])
    }

    func levels(_ level: Int64, event: String) -> JSONValue {
        stateEvent(
            "m.room.power_levels",
            .object([
                "users": .object([Self.alice.rawValue: .integer(level)]),
                "events": .object(["org.matrix.msc3401.call.member": .integer(10)]),
            ]), event: event)
    }

    /// A coordinator that sees the room, in which alice has level 10 of 10 and a token.
    func runningCall() async throws -> CallCoordinator {
        let coordinator = try coordinator()
        await coordinator.stateReadingBegan(of: Self.room)
        let state = RoomState([levels(10, event: "$l0"), events.member("join", event: "$m")], of: Self.room)
        #expect(try await coordinator.take(state, of: Self.room))
        #expect(issued.record(phone, of: Self.alice, in: Self.room, rights: Self.full) == nil)
        return coordinator
    }

    @Test("a lower level silences, the former one gives the voice back, and repetitions change nothing")
    func levelChanges() async throws {
        let coordinator = try await runningCall()
        try await coordinator.consume(transaction(1, levels(9, event: "$l1")))
        #expect(await focus.rights[phone] == [Self.listener])
        try await coordinator.consume(transaction(2, levels(8, event: "$l2"), levels(8, event: "$l2")))
        #expect(await focus.rights[phone] == [Self.listener])
        try await coordinator.consume(transaction(3, levels(11, event: "$l3")))
        #expect(await focus.rights[phone] == [Self.listener, Self.full])
        #expect(await focus.removed.isEmpty)
    }

    @Test("levels that changed while nobody told us count when the state is read")
    func levelsOfState() async throws {
        let coordinator = try await runningCall()
        await coordinator.stateReadingBegan(of: Self.room)
        let state = RoomState([levels(0, event: "$l9"), events.member("join", event: "$m")], of: Self.room)
        #expect(try await coordinator.take(state, of: Self.room))
        #expect(await focus.rights[phone] == [Self.listener])
    }

    @Test("levels of a room that was not read yet decide nothing")
    func unknownRoom() async throws {
        let coordinator = try coordinator()
        #expect(issued.record(phone, of: Self.alice, in: Self.room, rights: Self.full) == nil)
        try await coordinator.consume(transaction(1, levels(0, event: "$l1")))
        #expect(await focus.rights.isEmpty)
        #expect(facts.facts(of: Self.room) == nil)
    }

    @Test("a tombstone ends the calls of the room and takes everybody out")
    func tombstone() async throws {
        let coordinator = try await runningCall()
        try await coordinator.consume(transaction(1, events.membership(event: "$call")))
        try await coordinator.consume(
            transaction(2, stateEvent("m.room.tombstone", .object(["replacement_room": .string("!new")]), event: "$t")))
        #expect(Set(await focus.ended) == ["call", CallCoordinatorTests.liveKitRoom])
        #expect(
            Set(await focus.removed) == [
                phone,
                FocusParticipant(room: CallCoordinatorTests.liveKitRoom, identity: "@alice:example.com:DEVICE"),
            ])
        #expect(facts.facts(of: Self.room)?.tombstone?.replacement?.rawValue == "!new")
        #expect(issued.holders(in: Self.room).isEmpty)
    }

    @Test("a membership of somebody who is not in the room is refused and counted, also within one transaction")
    func strangers() async throws {
        let coordinator = try await runningCall()
        let mallory = Identifier.user("@mallory:example.com")
        try await coordinator.consume(transaction(1, events.membership(mallory, event: "$stranger")))
        #expect(await coordinator.calls.isEmpty)
        #expect(coordinator.refusals[.senderNotJoined] == 1)
        try await coordinator.consume(
            transaction(
                2, events.member("join", of: mallory, event: "$j"), events.membership(mallory, event: "$member"),
                events.membership(event: "$alice")))
        #expect(await coordinator.calls.first?.members.count == 2)
        try await coordinator.consume(
            transaction(
                3, events.member("leave", of: mallory, event: "$l"),
                events.membership(mallory, event: "$again", device: "OTHER")))
        #expect(await coordinator.calls.first?.members.map(\.membership.sender) == [Self.alice])
        #expect(coordinator.refusals[.senderNotJoined] == 2)
    }

    @Test("ten thousand members: the state is taken, each may call, and a leave of one is found")
    func manyMembers() async throws {
        let coordinator = try coordinator()
        let users = (0..<10_000).map { Identifier.user("@u\($0):example.com") }
        let state = RoomState(
            [levels(10, event: "$l")] + users.enumerated().map { events.member("join", of: $1, event: "$m\($0)") },
            of: Self.room)
        await coordinator.stateReadingBegan(of: Self.room)
        #expect(try await coordinator.take(state, of: Self.room))
        #expect(facts.facts(of: Self.room)?.joined.count == 10_000)
        // More announce themselves than a roster takes of one room.
        for start in stride(from: 0, to: 6_000, by: 1_000) {
            let list = users[start..<(start + 1_000)].map { events.membership($0, event: "$c\($0)") }
            try await coordinator.consume(
                StoredTransaction(sequence: Int64(start + 1), id: "\(start)", body: TransactionInboxTests.body(list)))
        }
        #expect(await coordinator.calls.first?.members.count == 5_000)
        #expect(coordinator.refusals[.tooManyMembershipsInRoom] == 1_000)
        try await coordinator.consume(transaction(9_999, events.member("leave", of: users[0], event: "$gone")))
        #expect(await coordinator.calls.first?.members.count == 4_999)
        #expect(!facts.isJoined(users[0], to: Self.room))
    }

    @Test("a rule for the room is followed in the running call")
    func roomRule() async throws {
        var known = RoomFacts()
        known.authority.powerLevels = RoomPowerLevels(["users": .object([Self.alice.rawValue: .integer(49)])])
        facts.set(known, of: Self.room)
        var rule = RoomRule(.room(Self.room))
        rule.thresholds.publish = .level(50)
        rule.thresholds.data = .any
        let enforcement = CallEnforcement(
            policy: AccessPolicy(localServer: FakeHomeserver.local, rules: [rule]), focus: focus, issued: issued,
            facts: facts, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(issued.record(phone, of: Self.alice, in: Self.room, rights: Self.full) == nil)
        await enforcement.adjustRights(in: Self.room)
        let expected = ParticipantRights(canPublish: false, canSubscribe: true, canPublishData: true)
        #expect(await focus.rights[phone] == [expected])
    }

    @Test("the facts follow members and are forgotten with the bot")
    func factsFollow() async throws {
        let coordinator = try await runningCall()
        #expect(facts.isJoined(Self.alice, to: Self.room))
        let version = facts.version(of: Self.room)
        try await coordinator.consume(transaction(1, events.member("leave", event: "$left")))
        #expect(!facts.isJoined(Self.alice, to: Self.room))
        #expect(facts.version(of: Self.room) > version)
        #expect(await focus.removed == [phone])
        let gone = JSONValue.object([
            "type": .string("m.room.member"), "room_id": .string(Self.room.rawValue),
            "sender": .string(Self.alice.rawValue), "event_id": .string("$kick"),
            "state_key": .string(FakeHomeserver.bot.rawValue), "origin_server_ts": .integer(clock.now),
            "content": .object(["membership": .string("leave")]),
        ])
        try await coordinator.consume(transaction(2, gone))
        #expect(facts.version(of: Self.room) == 0)
    }

    @Test("the book is bounded: a room that is too large is not kept")
    func boundedBook() {
        let book = RoomFactsBook(maximumMemberCount: 2)
        var facts = RoomFacts()
        facts.joined = [Self.alice, FakeHomeserver.bot]
        book.set(facts, of: Self.room)
        #expect(book.roomCount == 1)
        book.set(facts, of: Identifier.room("!second"))
        #expect(book.roomCount == 1)
        book.take(
            .roomMember(RoomMember(roomID: Self.room, user: Identifier.user("@bob:example.com"), membership: .join)),
            in: Self.room)
        #expect(book.roomCount == 0)
        book.set(facts, of: Identifier.room("!second"))
        #expect(book.isJoined(Self.alice, to: Identifier.room("!second")))
    }
}
