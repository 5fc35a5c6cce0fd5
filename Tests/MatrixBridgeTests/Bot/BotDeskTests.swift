// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Foundation
import Logging
import Testing

@testable import MatrixBridge

@Suite("Bot: commands in, replies out")
struct BotDeskTests {
    static let room = TransactionInboxTests.room
    static let alice = TransactionInboxTests.alice
    static let bot = FakeHomeserver.bot

    let homeserver = FakeHomeserver()
    let clock = ManualClock()
    let facts = RoomFactsBook()

    func desk(administrators: Set<UserID> = [], commands: [BotCommand]) async -> BotDesk {
        await homeserver.answer("/send/m.room.message/", with: .success(.json(.object(["event_id": .string("$sent")]))))
        return BotDesk(
            table: BotCommandTable(commands), administrators: administrators, bot: Self.bot,
            client: MatrixClient(
                transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken),
            facts: facts, clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func know(_ joined: [UserID], isEncrypted: Bool = false) {
        var known = RoomFacts()
        known.joined = Set(joined)
        known.isEncrypted = isEncrypted
        facts.set(known, of: Self.room)
    }

    func message(
        _ body: String, age: Int64 = 0, sender: UserID = alice, type: String = "m.text", in room: RoomID = room,
    ) throws -> RoomMessage? {
        let event = RoomEvent(
            type: "m.room.message", sender: sender, roomID: room, eventID: try #require(EventID("$question")),
            originServerTimestamp: clock.now - age, content: ["msgtype": .string(type), "body": .string(body)])
        guard case .message(let message) = CallEvent.decode(event) else { return nil }
        return message
    }

    var sent: [JSONValue] {
        get async {
            await homeserver.requests.filter { $0.url.contains("/send/m.room.message/") }
                .compactMap { $0.body.flatMap { try? JSONValue.parse($0) } }
        }
    }

    @Test("a command is carried out and answered, and its progress is one message that changes")
    func command() async throws {
        know([Self.alice, Self.bot])
        let desk = await desk(commands: [
            BotCommand("work", summary: "", permission: .everybody) { call in
                await call.progress("one")
                await call.progress("two")
                return .text("done in \(call.room)")
            }
        ])
        let message = try #require(try message("work"))
        #expect(desk.wants(message))
        await desk.answer(message)
        let sent = await sent
        #expect(sent.map { $0["body"]?.string } == ["one", "* two", "* done in \(Self.room)"])
        #expect(sent[0]["m.relates_to"]?["m.in_reply_to"]?["event_id"] == .string("$question"))
        #expect(sent[2]["m.relates_to"]?["event_id"] == .string("$sent"))
        #expect(Set(await homeserver.requests.map(\.url)).count == 3, "each with a transaction of its own")
        #expect(desk.events.all == [.performed: 1])
    }

    @Test("who may not hears what is needed, and nothing is done")
    func refusal() async throws {
        know([Self.alice, Self.bot])
        let command = BotCommand("status", summary: "") { _ in .text("secret") }
        let desk = await desk(commands: [command])
        await desk.answer(try #require(try message("status")))
        #expect(await sent.first?["body"]?.string?.contains("administrator") == true)
        #expect(desk.events.all == [.refused: 1])
        let trusting = await self.desk(administrators: [Self.alice], commands: [command])
        await trusting.answer(try #require(try message("status")))
        #expect(await sent.last?["body"] == .string("secret"))
    }

    @Test("a room may be named by its alias, and the permission is that of the room it means")
    func alias() async throws {
        know([Self.alice, Self.bot])
        let meant = Identifier.room("!meant:example.com")
        var known = RoomFacts()
        known.authority.powerLevels = RoomPowerLevels(["users": .object([Self.alice.rawValue: .integer(50)])])
        facts.set(known, of: meant)
        know([Self.alice, Self.bot])
        let desk = await desk(commands: [
            BotCommand("end", summary: "", permission: .level(.kick), roomArgument: 0) { .text("in \($0.room)") }
        ])
        let found = HTTPClientResponse.json(.object(["room_id": .string(meant.rawValue)]))
        await homeserver.answer("/directory/room/%23hall%3Aexample.com", with: .success(found))
        await desk.answer(try #require(try message("end #hall:example.com")))
        #expect(await sent.last?["body"] == .string("in \(meant)"))
        await desk.answer(try #require(try message("end !room:example.com")))
        #expect(await sent.last?["body"]?.string?.contains("needs power level") == true)
        await homeserver.answer("/directory/room/%23no", with: .success(.error(404, "M_NOT_FOUND")))
        await desk.answer(try #require(try message("end #no:example.com")))
        #expect(await sent.last?["body"] == .string("There is no room with the alias #no:example.com."))
        await homeserver.answer("/directory/room/%23far", with: .failure(.timedOut))
        await desk.answer(try #require(try message("end #far:example.com")))
        #expect(await sent.last?["body"]?.string?.contains("could not look #far:example.com up") == true)
        #expect(desk.events.all == [.performed: 1, .refused: 1, .unreadable: 2])
    }

    @Test("in rooms with others only the prefix calls, and the bot never answers itself or a notice")
    func addressing() async throws {
        know([Self.alice, Self.bot, Identifier.user("@bob:example.com")])
        let desk = await desk(commands: [])
        #expect(!desk.wants(try #require(try message("status"))))
        #expect(desk.wants(try #require(try message("!call status"))))
        #expect(!desk.wants(try #require(try message("!call status", sender: Self.bot))))
        #expect(try message("!call status", type: "m.notice") == nil)
        #expect(try message(String(repeating: "x", count: 5_000)) == nil)
    }

    @Test("old commands and floods are dropped and counted")
    func limits() async throws {
        know([Self.alice, Self.bot])
        let ping = BotCommand("ping", summary: "", permission: .everybody) { _ in .text("pong") }
        let desk = await desk(commands: [ping])
        await desk.answer(try #require(try message("ping", age: 300_001)))
        #expect(desk.events[.outdated] == 1)
        for _ in 0..<22 { await desk.answer(try #require(try message("ping"))) }
        #expect(desk.events[.performed] == 20)
        #expect(desk.events[.rateLimited] == 2)
    }

    @Test(
        "alone with somebody it says hello, and in an encrypted room without a device that it cannot read",
        arguments: [true, false])
    func greeting(isEncrypted: Bool) async {
        know([Self.alice, Self.bot], isEncrypted: isEncrypted)
        let desk = await desk(commands: [])
        await desk.greet(Self.room)
        #expect(await sent.first?["body"]?.string?.contains("cannot read encrypted") == isEncrypted)
        know([Self.alice, Self.bot, Identifier.user("@bob:example.com")], isEncrypted: isEncrypted)
        await desk.greet(Self.room)
        #expect(await sent.count == 1)
    }

    /// Stands for the encrypted device: encrypts nothing, and says what it was asked for.
    private actor Encryptor: RoomEventEncrypting {
        let room: Bool
        let failure: RoomEncryptionFailure?

        init(room: Bool, failure: RoomEncryptionFailure?) {
            self.room = room
            self.failure = failure
        }

        func isEncrypted(_ room: RoomID) async -> Bool { self.room }

        func encrypted(
            _ type: String, _ content: JSONObject, in room: RoomID,
        ) async throws(RoomEncryptionFailure) -> JSONObject {
            if let failure { throw failure }
            return ["algorithm": .string("m.megolm.v1.aes-sha2")]
        }
    }

    private func desk(_ encryption: Encryptor?) async -> BotDesk {
        for type in ["m.room.message", "m.room.encrypted"] {
            await homeserver.answer("/send/\(type)/", with: .success(.json(.object(["event_id": .string("$sent")]))))
        }
        return BotDesk(
            table: BotCommandTable([BotCommand("ping", summary: "", permission: .everybody) { _ in .text("pong") }]),
            administrators: [], bot: Self.bot,
            client: MatrixClient(
                transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken),
            facts: facts, encryption: encryption, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("an encrypted command has an encrypted answer or none, whatever is known about the room")
    func encryptedCommand() async throws {
        let event = RoomEvent(
            type: "m.room.encrypted", sender: Self.alice, roomID: Self.room,
            eventID: try #require(EventID("$question")), originServerTimestamp: clock.now, content: [:]
        ).decrypted(
            type: "m.room.message", content: ["msgtype": .string("m.text"), "body": .string("ping")],
            by: Identifier.device("ALICE"))
        guard case .message(let question) = CallEvent.decode(event) else {
            Issue.record("the event is no message")
            return
        }
        know([Self.alice, Self.bot])
        await desk(Encryptor(room: false, failure: nil)).answer(question)
        #expect(await homeserver.requests.map(\.url).count { $0.contains("/send/m.room.encrypted/") } == 1)
        for failure in [RoomEncryptionFailure.noDevice("none"), .notReady, .unknownMembers, .nobodyReached] {
            let desk = await desk(Encryptor(room: false, failure: failure))
            await desk.answer(question)
            #expect(desk.events.all[.replyFailed] == 1)
        }
        #expect(await sent.isEmpty)
        // Nor is there a reply in the clear where nothing is known about the room.
        let clear = try #require(try message("!call ping"))
        await desk(Encryptor(room: true, failure: .unknownMembers)).answer(clear)
        #expect(await sent.isEmpty)
    }

    @Test("without facts about a room, which may be encrypted, nothing is said in the clear")
    func unknownRoom() async throws {
        let desk = await desk(nil)
        await desk.answer(try #require(try message("!call ping")))
        #expect(await sent.isEmpty)
        #expect(desk.events.all[.replyFailed] == 1)
    }

    @Test("only where the homeserver gives no device is that said in the clear")
    func apology() async {
        know([Self.alice, Self.bot], isEncrypted: true)
        for failure in [RoomEncryptionFailure.notReady, .unknownMembers, .nobodyReached, .store("full")] {
            await desk(Encryptor(room: true, failure: failure)).greet(Self.room)
        }
        #expect(await sent.isEmpty)
        await desk(Encryptor(room: true, failure: .noDevice("none"))).greet(Self.room)
        #expect(await sent.count == 1)
    }

    @Test("a room whose command takes long keeps no other room waiting, and its own in order")
    func rooms() async throws {
        let (done, doneInlet) = AsyncStream.makeStream(of: String.self)
        let (gate, gateInlet) = AsyncStream.makeStream(of: Void.self)
        let desk = await desk(commands: [
            BotCommand("slow", summary: "", permission: .everybody) { _ in
                for await _ in gate { break }
                doneInlet.yield("slow")
                return .text("done")
            },
            BotCommand("quick", summary: "", permission: .everybody) { call in
                doneInlet.yield("quick in \(call.room)")
                return .text("done")
            },
        ])
        let other = Identifier.room("!other:example.com")
        let run = Task { await desk.run() }
        desk.take(try #require(try message("!call slow")))
        desk.take(try #require(try message("!call quick")))
        desk.take(try #require(try message("!call quick", in: other)))
        var order = done.makeAsyncIterator()
        #expect(await order.next() == "quick in \(other)")
        gateInlet.yield()
        #expect(await order.next() == "slow")
        #expect(await order.next() == "quick in \(Self.room)")
        run.cancel()
        await run.value
    }

    @Test("the log of attempts is bounded in users and attempts")
    func attempts() {
        let log = AttemptLog()
        for number in 0..<20 { log.note(Self.alice, in: Self.room, "\(number)", at: Int64(number)) }
        #expect(log.attempts(of: Self.alice).map(\.text) == (10..<20).map { "\($0)" })
        for number in 0..<AttemptLog.maximumUsers {
            log.note(UserID("@u\(number):example.com") ?? Self.alice, in: Self.room, "x", at: 0)
        }
        #expect(log.attempts(of: Self.alice).isEmpty)
    }

    @Test("log levels differ by component and count at once")
    func logLevels() {
        let levels = LogLevels(.info)
        var logger = Logger(label: "test") { _ in LeveledLogHandler(SwiftLogNoOpLogHandler(), levels: levels) }
        #expect(logger.logLevel == .info)
        levels.set(.debug, of: .focus)
        #expect(logger.logLevel == .debug)
        #expect(levels.allows(.debug, from: "FocusSFU"))
        #expect(!levels.allows(.debug, from: "MatrixBridge"))
        #expect(levels.allows(.info, from: "MatrixBridge"))
        levels.set(.error, of: .focus)
        #expect(logger.logLevel == .info)
        #expect(!levels.allows(.info, from: "FocusSFU"))
        logger.logLevel = .critical
        #expect(logger.logLevel == .info, "the table alone decides")
        #expect(LogLevels.Component(name: "Focus") == .focus)
    }
}
