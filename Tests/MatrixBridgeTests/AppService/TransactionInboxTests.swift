// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Foundation
import Logging
import NIOHTTP1
import Testing

@testable import MatrixBridge

@Suite("Transactions: durable before 200, one effect each")
struct TransactionInboxTests {
    static let room = Identifier.room("!room:example.com")
    static let alice = Identifier.user("@alice:example.com")

    /// One process: database, coordinator and inbox over a file.
    struct Process {
        let database: Database
        let coordinator: CallCoordinator
        let inbox: TransactionInbox
        let routes: AppServiceRoutes
        /// How often the rooms had to be read anew.
        let losses = Tally<TransactionInbox.Refusal>()

        init(_ file: TemporaryDatabase, focus: FakeFocus, clock: ManualClock) async throws {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            database = try Database(path: file.path)
            coordinator = CallCoordinator(
                database: database, enforcement: .ofTests(focus, IssuedIdentities()), facts: RoomFactsBook(),
                membershipPolicy: BotMembershipPolicy(
                    bot: FakeHomeserver.bot, access: AccessPolicy(localServer: FakeHomeserver.local)),
                errands: WakeUps(), clock: clock.clock, logger: logger)
            let losses = losses
            inbox = TransactionInbox(
                database: database, consumer: coordinator, onLoss: { losses.count(.tooLarge) }, clock: clock.clock,
                logger: logger)
            routes = AppServiceRoutes(
                token: HomeserverToken("hs-token"), inbox: inbox, ownUsers: [FakeHomeserver.bot.rawValue])
            try await coordinator.restore()
        }

        func put(_ id: String, _ body: [UInt8], token: String? = "hs-token") async -> Int {
            await Int(routes.transaction(Self.request(body, token: token), id: id).status.code)
        }

        static func request(_ body: [UInt8] = [], token: String?) -> HTTPRequest {
            HTTPRequest(
                method: .PUT, target: "/", headers: token.map { ["Authorization": "Bearer \($0)"] } ?? [:], body: body)
        }
    }

    let focus = FakeFocus()
    let clock = ManualClock()

    func membership(_ user: UserID = alice, event: String, device: String = "DEVICE") -> JSONValue {
        .object([
            "type": .string("org.matrix.msc3401.call.member"), "room_id": .string(Self.room.rawValue),
            "sender": .string(user.rawValue), "event_id": .string(event),
            "state_key": .string("_\(user)_\(device)_m.call"), "origin_server_ts": .integer(clock.now),
            "content": .object([
                "application": .string("m.call"), "call_id": .string(""), "device_id": .string(device),
                "expires": .integer(14_400_000), "created_ts": .integer(clock.now),
                "focus_active": .object(["type": .string("livekit"), "focus_selection": .string("multi_sfu")]),
                "foci_preferred": .array([
                    .object(["type": .string("livekit"), "livekit_service_url": .string("https://rtc.example.com")])
                ]),
            ]),
        ])
    }

    func member(_ membership: String, of user: UserID = alice, event: String) -> JSONValue {
        .object([
            "type": .string("m.room.member"), "room_id": .string(Self.room.rawValue),
            "sender": .string(user.rawValue), "event_id": .string(event), "state_key": .string(user.rawValue),
            "origin_server_ts": .integer(clock.now), "content": .object(["membership": .string(membership)]),
        ])
    }

    static func body(_ events: [JSONValue]) -> [UInt8] {
        JSONValue.object(["events": .array(events)]).compactJSON
    }

    @Test("A1: a repeated transaction, whole or reduced, has one effect and is answered 200")
    func repetition() async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(file, focus: focus, clock: clock)
        let join = membership(event: "$join")
        let leave = member("leave", event: "$leave")
        let whole = Self.body([join, leave])
        #expect(await process.put("1", whole) == 200)
        try await process.inbox.processStored()
        #expect(await focus.removed.count == 1)
        #expect(await process.put("1", whole) == 200)
        #expect(await process.put("1", Self.body([leave])) == 200)
        try await process.inbox.processStored()
        #expect(await focus.removed.count == 1)
        #expect(process.inbox.refusals[.repetition] == 1)
        #expect(try await process.inbox.backlog() == 0)
    }

    @Test("A3: a wrong or missing hs_token is refused and nothing is stored")
    func wrongToken() async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(file, focus: focus, clock: clock)
        let body = Self.body([membership(event: "$join")])
        #expect(await process.put("1", body, token: "wrong") == 403)
        #expect(await process.put("1", body, token: "hs-toke") == 403)
        #expect(await process.put("1", body, token: nil) == 401)
        #expect(await process.put("1", body, token: "") == 401)
        let response = await process.routes.transaction(Process.request(body, token: nil), id: "1")
        #expect(try JSONValue.parse(response.body)["errcode"] == .string("M_MISSING_TOKEN"))
        #expect(try await process.inbox.backlog() == 0)
        #expect(process.inbox.refusals[.wrongToken] == 2)
        #expect(process.inbox.refusals[.missingToken] == 3)
    }

    @Test("a token in the query does not count")
    func queryToken() async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        let request = HTTPRequest(method: .POST, target: "/_matrix/app/v1/ping?access_token=hs-token")
        #expect(await process.routes.ping(request).status == .unauthorized)
    }

    @Test(
        "what is no JSON object is answered 200, counted and not stored", arguments: ["", "[]", "{", "\u{1}", "{}{}"])
    func notJSON(text: String) async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        #expect(await process.put("1", Array(text.utf8)) == 200)
        #expect(process.inbox.refusals[.notJSONObject] == 1)
        try await process.inbox.processStored()
        #expect(process.losses[.tooLarge] == 1)
        #expect(try await process.inbox.backlog() == 0)
    }

    @Test("a transaction that is too large is answered 200 to the homeserver, and the rooms are read anew")
    func tooLarge() async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        let stranger = await process.routes.oversizedTransaction(Process.request(token: "wrong"), id: "1")
        #expect(stranger.status == .forbidden)
        #expect(process.losses[.tooLarge] == 0)
        let answer = await process.routes.oversizedTransaction(Process.request(token: "hs-token"), id: "1")
        #expect(answer.status == .ok)
        #expect(answer.body == Array("{}".utf8))
        #expect(process.inbox.refusals[.tooLarge] == 1)
        #expect(process.losses[.tooLarge] == 0, "what is older comes first")
        try await process.inbox.processStored()
        try await process.inbox.processStored()
        #expect(process.losses[.tooLarge] == 1)
        #expect(try await process.inbox.backlog() == 0)
    }

    @Test("what a stranger sends to the bot's device does not cost the events beside it")
    func hostileMessages() async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
        let wide = "[" + String(repeating: "1,", count: 3_000_000) + "1]"
        for (id, content) in [("1", deep), ("2", wide)] {
            let events = JSONValue.array([membership(event: "$join\(id)", device: "D\(id)")]).compactJSON
            let body =
                #"{"de.sorunome.msc2409.to_device":[{"sender":"@x:elsewhere","type":"m.room.encrypted","content":"#
                + content + #"}],"events":"# + String(decoding: events, as: UTF8.self) + "}"
            #expect(await process.put(id, Array(body.utf8)) == 200)
        }
        try await process.inbox.processStored()
        #expect(await process.coordinator.calls.first?.members.count == 2)
        #expect(process.inbox.refusals[.notJSONObject] == 0)
    }

    @Test("events of any shape are counted and do not stop the ones behind them")
    func hostileEvents() async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        let events: [JSONValue] = [.null, .integer(1), .object([:]), .object(["type": .string("x")])]
        #expect(await process.put("1", Self.body(events + [membership(event: "$join")])) == 200)
        #expect(await process.put("2", JSONValue.object(["events": .string("none")]).compactJSON) == 200)
        try await process.inbox.processStored()
        #expect(await process.coordinator.calls.count == 1)
        #expect(process.coordinator.refusals.all.values.reduce(0, +) == 4)
        #expect(try await process.inbox.backlog() == 0)
    }

    @Test("killed after the answer: the stored transaction is processed once by the next process")
    func killedBeforeProcessing() async throws {
        let file = try TemporaryDatabase()
        let first = try await Process(file, focus: focus, clock: clock)
        #expect(await first.put("1", Self.body([membership(event: "$join")])) == 200)
        #expect(
            await first.put("2", Self.body([membership(Identifier.user("@bob:example.com"), event: "$bob")])) == 200)
        let second = try await Process(try file.copyAsIs(), focus: focus, clock: clock)
        #expect(try await second.inbox.backlog() == 2)
        #expect(await second.coordinator.calls.isEmpty)
        try await second.inbox.processStored()
        #expect(await second.coordinator.calls.first?.members.count == 2)
        #expect(await second.put("1", Self.body([membership(event: "$join")])) == 200)
        #expect(try await second.inbox.backlog() == 0)
    }

    @Test("killed between the commit and its effects: the roster is there, the transaction is done")
    func killedAfterCommit() async throws {
        let file = try TemporaryDatabase()
        let first = try await Process(file, focus: focus, clock: clock)
        #expect(await first.put("1", Self.body([membership(event: "$join")])) == 200)
        try await first.inbox.processStored()
        let second = try await Process(try file.copyAsIs(), focus: focus, clock: clock)
        #expect(try await second.inbox.backlog() == 0)
        #expect(await second.coordinator.calls.first?.members.first?.membership.sender == Self.alice)
    }

    @Test(
        "a failure inside the commit undoes all of it; the next try does all of it",
        arguments: [
            "BEFORE INSERT ON applied_events", "BEFORE INSERT ON roster_entries", "BEFORE UPDATE ON transactions",
        ])
    func failureInsideCommit(point: String) async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(file, focus: focus, clock: clock)
        _ = try await process.database.transaction { connection in
            try connection.execute("CREATE TRIGGER crash \(point) BEGIN SELECT RAISE(ABORT, 'injected'); END")
        }
        #expect(await process.put("1", Self.body([membership(event: "$join")])) == 200)
        await #expect(throws: SQLiteError.self) { try await process.inbox.processStored() }
        #expect(await process.coordinator.calls.isEmpty)
        #expect(try await process.inbox.backlog() == 1)
        let restarted = try await Process(try file.copyAsIs(), focus: focus, clock: clock)
        #expect(await restarted.coordinator.calls.isEmpty)
        for process in [process, restarted] {
            _ = try await process.database.transaction { try $0.execute("DROP TRIGGER crash") }
            try await process.inbox.processStored()
            #expect(await process.coordinator.calls.count == 1)
            #expect(try await process.inbox.backlog() == 0)
        }
    }

    @Test("killed in the middle of an open commit: nothing of it is there")
    func killedInsideCommit() async throws {
        let file = try TemporaryDatabase()
        let process = try await Process(file, focus: focus, clock: clock)
        #expect(await process.put("1", Self.body([membership(event: "$join")])) == 200)
        let copy = try await process.database.transaction { connection in
            try TransactionTable.markProcessed(sequence: 1, in: connection)
            return try file.copyAsIs()
        }
        let second = try await Process(copy, focus: focus, clock: clock)
        #expect(try await second.inbox.backlog() == 1)
    }

    @Test("a transaction that cannot be stored is 500, so that the homeserver keeps it")
    func notStored() async throws {
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        _ = try await process.database.transaction { connection in
            try connection.execute(
                "CREATE TRIGGER full BEFORE INSERT ON transactions BEGIN SELECT RAISE(ABORT, 'injected'); END")
        }
        #expect(await process.put("1", Self.body([])) == 500)
        #expect(process.inbox.refusals[.notStored] == 1)
    }

    @Test("the run resumes what was stored, retries with back-off and ends with its task")
    func run() async throws {
        let clock = ManualClock(maximumSleeps: 2)
        let process = try await Process(try TemporaryDatabase(), focus: focus, clock: clock)
        _ = try await process.database.transaction { connection in
            try connection.execute(
                "CREATE TRIGGER crash BEFORE UPDATE ON transactions BEGIN SELECT RAISE(ABORT, 'injected'); END")
        }
        #expect(await process.put("1", Self.body([])) == 200)
        await process.inbox.run()
        #expect(clock.sleeps.count == 3)
        #expect(process.inbox.refusals[.processingFailed] == 3)
        #expect(zip([100, 200, 400], clock.sleeps).allSatisfy { $0 <= $1 && $1 <= $0 * 2 })
    }

    @Test("old processed transactions are forgotten, waiting ones never")
    func pruning() async throws {
        let database = try Database(path: ":memory:")
        let counts = try await database.transaction { connection in
            _ = try TransactionTable.record(id: "waiting", bodyHash: [0], body: [1], in: connection)
            for number in 2...1_200 {
                _ = try TransactionTable.record(id: "\(number)", bodyHash: [0], body: [1], in: connection)
                try TransactionTable.markProcessed(sequence: Int64(number), in: connection)
            }
            return [
                try connection.execute("SELECT count(*) FROM transactions")[0][0].integer ?? 0,
                try TransactionTable.unprocessedCount(in: connection),
            ]
        }
        #expect(counts == [TransactionTable.remembered + 1, 1])
    }

    @Test("the file and its log stay small over many transactions, and a large one gives its space back")
    func fileSize() async throws {
        let file = try TemporaryDatabase()
        let database = try Database(path: file.path)
        func process(_ count: Int, byteCount: Int) async throws {
            let body = [UInt8](repeating: 1, count: byteCount)
            for _ in 1...count {
                try await database.transaction { connection in
                    _ = try TransactionTable.record(
                        id: UUID().uuidString, bodyHash: [0], body: body, in: connection)
                    let next = try TransactionTable.nextUnprocessed(in: connection)
                    try TransactionTable.markProcessed(sequence: next?.sequence ?? 0, in: connection)
                }
            }
        }
        try await process(1_200, byteCount: 50_000)
        #expect(try file.byteCount() < 1 << 20)
        try await process(1, byteCount: 30 << 20)
        try await process(200, byteCount: 50_000)
        #expect(try file.byteCount(suffix: "-wal") <= SQLiteConnection.journalByteCount)
        let rows = try await database.read { connection in
            [
                try connection.execute("SELECT count(*) FROM transactions")[0][0].integer ?? 0,
                try connection.execute("PRAGMA wal_autocheckpoint")[0][0].integer ?? 0,
            ]
        }
        #expect(rows == [TransactionTable.remembered, 1_000])
    }

    @Test("queries: our users exist, other users, aliases and third parties do not")
    func queries() async throws {
        let routes = try await Process(try TemporaryDatabase(), focus: focus, clock: clock).routes
        let request = Process.request(token: "hs-token")
        #expect(await routes.ping(request).status == .ok)
        #expect(await routes.user(request, id: FakeHomeserver.bot.rawValue).status == .ok)
        #expect(await routes.user(request, id: "@nobody:example.com").status == .notFound)
        #expect(await routes.nothing(request).status == .notFound)
        #expect(await routes.user(Process.request(token: "no"), id: "@nobody:example.com").status == .forbidden)
    }
}
