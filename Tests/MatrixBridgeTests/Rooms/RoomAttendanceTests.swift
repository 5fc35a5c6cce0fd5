// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import Testing

@testable import MatrixBridge

@Suite("Room attendance")
struct RoomAttendanceTests {
    static let room = TransactionInboxTests.room
    static let bot = FakeHomeserver.bot
    static let noRooms = HTTPClientResponse.json(.object(["joined_rooms": .array([])]))

    let homeserver = FakeHomeserver()
    let focus = FakeFocus()
    let clock = ManualClock()
    let issued = IssuedIdentities()
    let events = TransactionInboxTests()

    struct Process {
        let database: Database
        let coordinator: CallCoordinator
        let attendance: RoomAttendance
        let wakeUps = WakeUps()

        init(_ test: RoomAttendanceTests, _ file: TemporaryDatabase, clock: ManualClock? = nil) async throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let clock = (clock ?? test.clock).clock
            database = try Database(path: file.path)
            coordinator = CallCoordinator(
                database: database, enforcement: .ofTests(test.focus, test.issued), facts: RoomFactsBook(),
                membershipPolicy: BotMembershipPolicy(
                    bot: RoomAttendanceTests.bot, access: AccessPolicy(localServer: FakeHomeserver.local)),
                errands: wakeUps, clock: clock, logger: logger)
            attendance = RoomAttendance(
                client: MatrixClient(
                    transport: test.homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken),
                database: database, coordinator: coordinator, bot: RoomAttendanceTests.bot, wakeUps: wakeUps,
                clock: clock, logger: logger)
            try await coordinator.restore()
        }

        func errands() async throws -> [RoomErrand.Kind] {
            try await database.read { connection in
                try connection.execute("SELECT kind FROM room_errands ORDER BY sequence")
                    .compactMap { $0[0].text.flatMap(RoomErrand.Kind.init) }
            }
        }

        func consume(_ sequence: Int64, _ list: JSONValue...) async throws {
            try await coordinator.consume(
                StoredTransaction(sequence: sequence, id: "\(sequence)", body: TransactionInboxTests.body(list)))
        }
    }

    func botMember(_ membership: String, by sender: String = "@alice:example.com", event: String) -> JSONValue {
        .object([
            "type": .string("m.room.member"), "room_id": .string(Self.room.rawValue), "sender": .string(sender),
            "event_id": .string(event), "state_key": .string(Self.bot.rawValue),
            "origin_server_ts": .integer(clock.now), "content": .object(["membership": .string(membership)]),
        ])
    }

    @Test("invited, joined, and a call that ran before is seen; nothing is done twice")
    func joining() async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(self, file)
        await homeserver.answer("/joined_rooms", with: .success(Self.noRooms))
        await homeserver.answer("/join/", with: .success(.json(.object(["room_id": .string(Self.room.rawValue)]))))
        let state = JSONValue.array([events.membership(event: "$call"), events.member("join", event: "$alice")])
        await homeserver.answer("/state?", with: .success(.json(state)))
        let invite = botMember("invite", event: "$invite")
        try await process.consume(1, invite)
        #expect(try await process.errands() == [.join])
        #expect(await process.attendance.performAll() == .init())
        #expect(try await process.errands().isEmpty)
        #expect(await process.coordinator.calls.isEmpty)
        // The homeserver pushes the join; the repeated invitation is known.
        try await process.consume(2, invite, botMember("join", by: Self.bot.rawValue, event: "$joined"))
        #expect(await process.attendance.performAll() == .init())
        #expect(await process.coordinator.calls.first?.members.first?.membership.sender == TransactionInboxTests.alice)
        #expect(await homeserver.requestCount(of: "/join/") == 1)
        #expect(await homeserver.requests.last?.url.hasSuffix("?user_id=%40callbot%3Aexample.com") == true)
        #expect(process.attendance.events.all == [.joined: 1, .stateRead: 1])
        #expect(await homeserver.requestCount(of: "/joined_rooms") == 1)
    }

    @Test("an invitation from elsewhere is declined and counted")
    func declining() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        await homeserver.answer("/joined_rooms", with: .success(Self.noRooms))
        await homeserver.answer("/leave", with: .success(.json(.object([:]))))
        try await process.consume(1, botMember("invite", by: "@bob:remote.test", event: "$invite"))
        #expect(await process.attendance.performAll() == .init())
        #expect(await homeserver.requestCount(of: "/leave") == 1)
        #expect(await homeserver.requestCount(of: "/join/") == 0)
        #expect(process.attendance.events[.declined] == 1)
    }

    @Test("an invitation that came while the homeserver was going down is accepted after a restart")
    func homeserverDown() async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(self, file, clock: ManualClock(maximumSleeps: 1))
        await homeserver.answer("/joined_rooms", with: .success(Self.noRooms))
        await homeserver.answer("/join/", with: .success(.error(502, "M_UNKNOWN")))
        try await process.consume(1, botMember("invite", event: "$invite"))
        await process.attendance.run()
        #expect(await homeserver.requestCount(of: "/join/") == 2)
        #expect(process.attendance.events[.failed] == 2)
        let restarted = try await Process(self, try file.copyAsIs())
        #expect(try await restarted.errands() == [.join])
        await homeserver.answer("/join/", with: .success(.json(.object([:]))))
        #expect(await restarted.attendance.performAll() == .init())
        #expect(try await restarted.errands().isEmpty)
    }

    @Test("a refused join is given up, and what the homeserver asks for is waited")
    func refusedJoin() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        await homeserver.answer("/joined_rooms", with: .success(Self.noRooms))
        let body = JSONValue.object(["errcode": .string("M_LIMIT_EXCEEDED"), "retry_after_ms": .integer(7_000)])
        await homeserver.answer("/join/", with: .success(HTTPClientResponse(status: 429, body: body.compactJSON)))
        try await process.consume(1, botMember("invite", event: "$invite"))
        #expect(
            await process.attendance.performAll() == .init(hasFailures: true, requestedDelayMilliseconds: 7_000))
        await homeserver.answer("/join/", with: .success(.error(403, "M_FORBIDDEN")))
        #expect(await process.attendance.performAll() == .init())
        #expect(process.attendance.events[.joinRefused] == 1)
        #expect(try await process.errands().isEmpty)
    }

    @Test("at start the state of every joined room is read, once")
    func reconciling() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        #expect(await process.attendance.performAll().hasFailures)
        await homeserver.answer(
            "/joined_rooms",
            with: .success(.json(.object(["joined_rooms": .array([.string(Self.room.rawValue), .integer(1)])]))))
        // The membership was replaced and its user left while nothing was stored here.
        try await process.consume(1, events.membership(event: "$call"))
        await homeserver.answer("/state?", with: .success(.json(.array([events.member("leave", event: "$gone")]))))
        #expect(await process.attendance.performAll() == .init())
        #expect(await process.coordinator.calls.isEmpty)
        #expect(await focus.removed.count == 1)
        #expect(await process.attendance.performAll() == .init())
        #expect(await homeserver.requestCount(of: "/state?") == 1)
        // The events of the state do not count as applied: the homeserver may still push them.
        try await process.consume(2, events.membership(event: "$later"), events.member("join", event: "$back"))
        try await process.consume(3, events.member("leave", event: "$gone"))
        #expect(await process.coordinator.calls.isEmpty)
    }

    @Test("when events were lost, the state of every joined room is read again")
    func readingAllAgain() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        await homeserver.answer(
            "/joined_rooms", with: .success(.json(.object(["joined_rooms": .array([.string(Self.room.rawValue)])]))))
        await homeserver.answer("/state?", with: .success(.json(.array([]))))
        #expect(await process.attendance.performAll() == .init())
        let state = JSONValue.array([events.membership(event: "$call"), events.member("join", event: "$alice")])
        await homeserver.answer("/state?", with: .success(.json(state)))
        await process.attendance.readAllAgain()
        clock.advance(milliseconds: 20_000)
        let tooEarly = await process.attendance.performAll()
        #expect(tooEarly == .init(nextReadingMilliseconds: 40_000))
        #expect(await homeserver.requestCount(of: "/joined_rooms") == 1)
        clock.advance(milliseconds: 40_000)
        #expect(await process.attendance.performAll() == .init())
        #expect(await process.attendance.performAll() == .init())
        #expect(await process.coordinator.calls.count == 1)
        #expect(await homeserver.requestCount(of: "/joined_rooms") == 2)
    }

    @Test("state that may be older than an event is not taken")
    func outdated() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        try await process.consume(1, events.membership(event: "$call"))
        await process.coordinator.stateReadingBegan(of: Self.room)
        try await process.consume(2, events.member("leave", event: "$gone"))
        let state = RoomState(
            [events.membership(event: "$call"), events.member("join", event: "$in")], of: Self.room)
        #expect(try await !process.coordinator.take(state, of: Self.room))
        #expect(await process.coordinator.calls.isEmpty)
        await process.coordinator.stateReadingBegan(of: Self.room)
        #expect(try await process.coordinator.take(state, of: Self.room))
        #expect(await process.coordinator.calls.count == 1)
    }

    @Test(
        "when the bot is out, the room's calls and errands are forgotten and nobody is taken out",
        arguments: ["leave", "ban"])
    func out(membership: String) async throws {
        let process = try await Process(self, try TemporaryDatabase())
        try await process.consume(1, events.membership(event: "$call"), botMember("invite", event: "$invite"))
        #expect(await process.coordinator.calls.count == 1)
        try await process.consume(2, botMember(membership, event: "$out"))
        #expect(await process.coordinator.calls.isEmpty)
        #expect(try await process.errands().isEmpty)
        #expect(await focus.removed.isEmpty)
    }

    @Test("rooms that wait are bounded; further ones are refused and counted")
    func bound() async throws {
        let process = try await Process(self, try TemporaryDatabase())
        _ = try await process.database.transaction { connection in
            for number in 0..<RoomErrandTable.maximumCount {
                try connection.execute(
                    "INSERT INTO room_errands (room_id, kind) VALUES (?, 'join')", [.text("!r\(number):example.com")])
            }
        }
        try await process.consume(1, botMember("invite", event: "$invite"))
        #expect(process.coordinator.refusedErrands[.join] == 1)
        #expect(try await process.database.read { try RoomErrandTable.count(in: $0) } == RoomErrandTable.maximumCount)
    }

    @Test("the state of a room: who left first, memberships of departed users not at all")
    func stateOrder() throws {
        let bob = Identifier.user("@bob:example.com")
        let foreign = JSONValue.object([
            "type": .string("m.room.member"), "room_id": .string("!other:example.com"),
            "sender": .string("@bob:example.com"), "event_id": .string("$f"), "state_key": .string("@bob:example.com"),
            "origin_server_ts": .integer(1), "content": .object(["membership": .string("join")]),
        ])
        let state = RoomState(
            [
                events.membership(event: "$a"), .null, events.membership(bob, event: "$b"), foreign,
                events.member("leave", of: bob, event: "$bobLeft"), events.member("join", event: "$aliceIn"),
            ], of: Self.room)
        #expect(state.events.map(\.eventID.rawValue) == ["$bobLeft", "$aliceIn", "$a"])
        #expect(state.refusals == [.notAnObject])
    }
}
