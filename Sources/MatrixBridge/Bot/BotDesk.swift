// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging

/// Where commands arrive and replies leave: in each room one after the other, each sender at a bounded rate. No room
/// waits for another, where an encrypted reply may take minutes to find its readers.
package actor BotDesk {
    /// What became of texts that were meant for the bot.
    package enum Event: String, CaseIterable, Sendable {
        case performed
        /// Not understood.
        case unreadable
        /// The sender may not.
        case refused
        /// Too many from one sender.
        case rateLimited
        /// Too many wait.
        case overflowed
        /// It was written long ago; nobody waits for it any more.
        case outdated
        /// The homeserver did not take the reply.
        case replyFailed
    }

    private enum Item: Sendable {
        case message(RoomMessage)
        /// The bot has come to a room.
        case joined(RoomID)
        /// An encrypted event whose key never came.
        case unreadable(RoomID, EventID)

        var room: RoomID {
            switch self {
            case .message(let message): message.roomID
            case .joined(let room), .unreadable(let room, _): room
            }
        }
    }

    /// Rooms in which the desk is at work at a time, and what may wait in each.
    private static let maximumRooms = 64
    private static let maximumOfRoom = 20
    /// A command that waited longer is not carried out.
    private static let maximumAgeMilliseconds: Int64 = 300_000

    private var table: BotCommandTable
    private let administrators: Set<UserID>
    private let bot: UserID
    private let client: MatrixClient
    private let facts: RoomFactsBook
    /// Encrypts replies; nil when nothing does.
    private let encryption: (any RoomEventEncrypting)?
    private let clock: ServiceClock
    private let logger: Logger
    private var rate = RequestRate(burst: 20, perSecond: 1, maximumNames: 1_024)
    private var regrets = RequestRate(burst: 1, perSecond: 1.0 / 3_600, maximumNames: 1_024)
    private let items: AsyncStream<Item>
    private nonisolated let inlet: AsyncStream<Item>.Continuation
    /// What waits in the rooms that the desk is at work in.
    private var waiting: [RoomID: [Item]] = [:]
    private var lastTransaction: UInt64 = 0
    /// Makes transaction ids of this process differ from those of the last.
    private let epoch: Int64
    package nonisolated let events = Tally<Event>()

    package init(
        table: BotCommandTable = BotCommandTable(), administrators: Set<UserID>, bot: UserID, client: MatrixClient,
        facts: RoomFactsBook, encryption: (any RoomEventEncrypting)? = nil, clock: ServiceClock, logger: Logger,
    ) {
        self.table = table
        self.administrators = administrators
        self.bot = bot
        self.client = client
        self.facts = facts
        self.encryption = encryption
        self.clock = clock
        self.logger = logger
        self.epoch = clock.unixMilliseconds()
        (items, inlet) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(100))
    }

    /// Adds commands; any part of the service may.
    package func offer(_ commands: [BotCommand]) {
        table.add(commands)
        table.add([ServiceCommands.help(table)])
    }

    /// Whether a message may be a command; asked for every message of every room with the bot.
    package nonisolated func wants(_ message: RoomMessage) -> Bool {
        guard message.sender != bot else { return false }
        return BotCommandTable.mayBeCommand(message.body, isPrivate: isPrivate(message.roomID))
    }

    package nonisolated func take(_ message: RoomMessage) {
        if case .dropped = inlet.yield(.message(message)) { events.count(.overflowed) }
    }

    /// The bot has come to a room, whose state is known now.
    package nonisolated func joined(_ room: RoomID) {
        if case .dropped = inlet.yield(.joined(room)) { events.count(.overflowed) }
    }

    /// An encrypted event whose key never came; where the bot is alone with somebody, it says so.
    package nonisolated func couldNotRead(_ event: RoomEvent) {
        guard event.sender != bot, isPrivate(event.roomID) else { return }
        if case .dropped = inlet.yield(.unreadable(event.roomID, event.eventID)) { events.count(.overflowed) }
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await item in items {
                if let before = waiting[item.room]?.count {
                    if before < Self.maximumOfRoom {
                        waiting[item.room]?.append(item)
                    } else {
                        events.count(.overflowed)
                    }
                } else if waiting.count < Self.maximumRooms {
                    waiting[item.room] = [item]
                    group.addTask { await self.work(in: item.room) }
                } else {
                    events.count(.overflowed)
                }
            }
            group.cancelAll()
        }
    }

    /// Works off what waits in a room; the first of it stays in its place meanwhile.
    private func work(in room: RoomID) async {
        while let item = waiting[room]?.first {
            switch item {
            case .message(let message): await answer(message)
            case .joined: await greet(room)
            case .unreadable(_, let event): await regret(event, in: room)
            }
            waiting[room]?.removeFirst()
        }
        waiting[room] = nil
    }

    private nonisolated func isPrivate(_ room: RoomID) -> Bool {
        (facts.facts(of: room)?.joined.count ?? .max) <= 2
    }

    /// Only where the bot is alone with somebody: in a room with a call nobody waits for its words.
    func greet(_ room: RoomID) async {
        guard let known = facts.facts(of: room), known.joined.count <= 2 else { return }
        let hello = BotReply.text("Hello! I look after the calls of this server. Send `help` to see what I can do.")
        do {
            _ = try await send(hello, to: room, answering: nil, replacing: nil, encrypts: await isEncrypted(room))
        } catch RoomEncryptionFailure.noDevice {
            // The one sentence that goes in the clear into an encrypted room: there is no other way to say it, and it
            // says nothing else. After any other failure we say nothing.
            let apology = BotReply.text(
                "Hello! I am sorry, I cannot read encrypted messages: this homeserver gives me no device for them. "
                    + "Please make a room without encryption, invite me there, and send `help`.")
            do {
                _ = try await send(apology, to: room, answering: nil, replacing: nil, encrypts: false)
            } catch {
                failed(error, in: room)
            }
        } catch {
            failed(error, in: room)
        }
    }

    /// Once an hour a room.
    func regret(_ event: EventID, in room: RoomID) async {
        guard regrets.spend(room.rawValue, at: clock.monotonic()) == nil else { return }
        await say(
            .text(
                "I could not read your message: its key has not reached me. Please send it again. If that does not "
                    + "help, verify this session in your client: I take keys of verified sessions only."),
            in: room, answering: event, wasEncrypted: true)
    }

    func answer(_ message: RoomMessage) async {
        guard clock.unixMilliseconds() - message.sentAt <= Self.maximumAgeMilliseconds else {
            return events.count(.outdated)
        }
        guard rate.spend(message.sender.rawValue, at: clock.monotonic()) == nil else {
            return events.count(.rateLimited)
        }
        switch table.read(message.body, isPrivate: isPrivate(message.roomID)) {
        case .nothing: return
        case .problem(let reply):
            events.count(.unreadable)
            await say(reply, in: message.roomID, answering: message.eventID, wasEncrypted: message.wasEncrypted)
        case .command(let command, let arguments, let named):
            switch await room(named) {
            case .success(let room): await perform(command, arguments, about: room ?? message.roomID, for: message)
            case .failure(let problem):
                events.count(.unreadable)
                await say(
                    problem.reply, in: message.roomID, answering: message.eventID, wasEncrypted: message.wasEncrypted)
            }
        }
    }

    private struct NoSuchRoom: Error {
        var reply: BotReply
    }

    /// The room that a command names; nil when it names none.
    private func room(_ name: BotCommandTable.RoomName?) async -> Result<RoomID?, NoSuchRoom> {
        switch name {
        case nil: return .success(nil)
        case .id(let room): return .success(room)
        case .alias(let alias):
            do throws(MatrixClientError) {
                if let room = try await client.room(of: alias) { return .success(room) }
                return .failure(NoSuchRoom(reply: .text("There is no room with the alias \(alias).")))
            } catch {
                return .failure(NoSuchRoom(reply: .text("The homeserver could not look \(alias) up: \(error)")))
            }
        }
    }

    private func perform(
        _ command: BotCommand, _ arguments: [String], about room: RoomID, for message: RoomMessage,
    ) async {
        let refusal = BotCommandTable.refusal(
            of: command, by: message.sender, isAdministrator: administrators.contains(message.sender),
            authority: facts.facts(of: room)?.authority)
        let metadata: Logger.Metadata = [
            "command": "\(command.name)", "matrix.user_id": "\(message.sender)", "matrix.room_id": "\(room)",
        ]
        if let refusal {
            events.count(.refused)
            logger.notice("A command was refused", metadata: metadata)
            await say(refusal, in: message.roomID, answering: message.eventID, wasEncrypted: message.wasEncrypted)
            return
        }
        logger.notice("A command is carried out", metadata: metadata)
        let shown = Shown()
        let call = BotCommandCall(
            sender: message.sender, room: room, arguments: arguments, sentAt: message.sentAt,
            progress: { text in
                let event = await self.say(
                    .text(text), in: message.roomID, answering: message.eventID, replacing: await shown.event,
                    wasEncrypted: message.wasEncrypted)
                await shown.set(event)
            })
        let reply = await command.run(call)
        events.count(.performed)
        await say(
            reply, in: message.roomID, answering: message.eventID, replacing: await shown.event,
            wasEncrypted: message.wasEncrypted)
    }

    /// - Parameter wasEncrypted: Whether the question was: then so is the answer, whatever is known about the room.
    /// - Returns: the message's event, or the one it replaces; nil when the homeserver did not take it.
    @discardableResult
    private func say(
        _ reply: BotReply, in room: RoomID, answering question: EventID?, replacing replaced: EventID? = nil,
        wasEncrypted: Bool,
    ) async -> EventID? {
        do {
            var encrypts = wasEncrypted
            if !encrypts { encrypts = await isEncrypted(room) }
            return try await send(reply, to: room, answering: question, replacing: replaced, encrypts: encrypts)
        } catch {
            failed(error, in: room)
            return replaced
        }
    }

    private func send(
        _ reply: BotReply, to room: RoomID, answering question: EventID?, replacing replaced: EventID?, encrypts: Bool,
    ) async throws -> EventID {
        lastTransaction += 1
        let transactionID = "bot-\(epoch)-\(lastTransaction)"
        var (type, content) = ("m.room.message", reply.content(answering: question, replacing: replaced))
        if encrypts {
            guard let encryption else { throw RoomEncryptionFailure.noDevice("nothing encrypts") }
            content = try await encryption.encrypted(type, content, in: room)
            type = "m.room.encrypted"
        }
        let event = try await client.send(
            type, content: content, to: room, as: .init(userID: bot), transactionID: transactionID)
        return replaced ?? event
    }

    private func failed(_ error: any Error, in room: RoomID) {
        events.count(.replyFailed)
        logger.warning(
            "A reply could not be sent", metadata: ["matrix.room_id": "\(room)", "error.code": "\(error)"])
    }

    /// Whether the room is encrypted, or may be.
    private func isEncrypted(_ room: RoomID) async -> Bool {
        await encryption?.isEncrypted(room) ?? (facts.facts(of: room)?.isEncrypted ?? true)
    }

    /// The message that shows the progress of one command.
    private actor Shown {
        private(set) var event: EventID?

        func set(_ event: EventID?) {
            self.event = event
        }
    }
}
