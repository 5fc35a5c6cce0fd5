// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging

/// What became of an event that we sent.
package enum LegacyCallOutcome: Equatable, Sendable {
    case said
    /// The homeserver, or our encrypted device, does not do it at the moment.
    case notNow
    /// The homeserver does not answer, or not in time.
    case unreachable
    /// It is refused for good.
    case never
}

/// Sends what we say in one-to-one calls: in order within a room, and no room waits for the network of another.
///
/// A call is stored before it is answered, and removed when its peer knows that it is over.
actor LegacyCallPost {
    enum Letter: Sendable {
        case message(LegacyCallMessage, LegacyCallEnd)
        case text(String, RoomID)
        /// Nobody needs to be told about the end.
        case forget(LegacyCallEnd)
    }

    /// Of one room.
    static let maximumWaiting = 32
    /// For an event with its repetitions, in milliseconds.
    static let deadline: UInt64 = 30_000
    /// Waits before the repetition of an event that the homeserver did not take.
    static let retryMilliseconds: [UInt64] = [500, 1_500]

    private let bot: UserID
    private let database: Database
    private let client: MatrixClient
    private let encryption: any RoomEventEncrypting
    private let inbox: LegacyCallInbox
    private let clock: ServiceClock
    private let logger: Logger
    private let events: Tally<LegacyCallKeeper.Event>
    /// Rooms with something to send, being sent or about to be.
    private var queues: [RoomID: [Letter]] = [:]
    private let rooms: AsyncStream<RoomID>
    private let roomsInlet: AsyncStream<RoomID>.Continuation
    private var lastTransaction: UInt64 = 0
    /// Makes transaction ids of this process differ from those of the last.
    private let epoch: Int64

    init(
        bot: UserID, database: Database, client: MatrixClient, encryption: any RoomEventEncrypting,
        inbox: LegacyCallInbox, events: Tally<LegacyCallKeeper.Event>, clock: ServiceClock, logger: Logger,
    ) {
        self.bot = bot
        self.database = database
        self.client = client
        self.encryption = encryption
        self.inbox = inbox
        self.events = events
        self.clock = clock
        self.logger = logger
        epoch = clock.unixMilliseconds()
        // One element a room at most.
        (rooms, roomsInlet) = AsyncStream.makeStream()
    }

    /// - Returns: false when too much waits in the room; the end of a call finds room always.
    func put(_ letter: Letter) -> Bool {
        let room = letter.room
        if let key = letter.endedKey { queues[room]?.removeAll { $0.key == key && $0.endedKey == nil } }
        let waiting = queues[room]?.count ?? 0
        guard letter.endedKey != nil || waiting < Self.maximumWaiting else {
            events.count(.overflowed)
            return false
        }
        if queues[room] == nil { roomsInlet.yield(room) }
        queues[room, default: []].append(letter)
        return true
    }

    /// Sends until the task is cancelled. What ends calls then waits for ``finish()``.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await room in rooms {
                group.addTask { await self.deliver(in: room) }
            }
            group.cancelAll()
        }
    }

    /// Sends what is left; after ``run()``.
    func finish() async {
        await withDiscardingTaskGroup { group in
            for room in queues.keys {
                group.addTask { await self.deliver(in: room) }
            }
        }
    }

    private func deliver(in room: RoomID) async {
        while !Task.isCancelled, let letter = next(in: room) {
            switch letter {
            case .message(let message, let end):
                if message.begins { await remember(end) }
                let outcome = await send(message.eventType, message.content(from: end), to: room)
                if Task.isCancelled, outcome != .said {
                    // The peer has not heard it.
                    if letter.endedKey != nil { queues[room, default: []].insert(letter, at: 0) }
                    return
                }
                if message.begins, outcome != .said {
                    queues[room]?.removeAll { $0.key == end.key && $0.endedKey == nil }
                }
                if message.ends, outcome == .said || outcome == .never { await forget(end) }
                _ = inbox.put(.reported(message, end, outcome))
            case .text(let text, _):
                _ = await send("m.room.message", BotReply.text(text).content(answering: nil), to: room)
            case .forget(let end): await forget(end)
            }
        }
    }

    /// The queue stays while its last letter is under way, so that a room has one deliverer.
    private func next(in room: RoomID) -> Letter? {
        guard let first = queues[room]?.first else {
            queues[room] = nil
            return nil
        }
        queues[room]?.removeFirst()
        return first
    }

    // MARK: The homeserver

    private func send(_ type: String, _ content: JSONObject, to room: RoomID) async -> LegacyCallOutcome {
        lastTransaction += 1
        let transaction = "call-\(epoch)-\(lastTransaction)"
        let clock = clock
        let outcome = await withTaskGroup(of: LegacyCallOutcome.self) { group in
            group.addTask { await self.send(type, content, to: room, transaction: transaction) }
            group.addTask {
                try? await clock.sleep(Self.deadline)
                return .unreachable
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .unreachable
        }
        if outcome != .said { events.count(.sendFailed) }
        return outcome
    }

    private func send(
        _ type: String, _ content: JSONObject, to room: RoomID, transaction: String,
    ) async -> LegacyCallOutcome {
        var delays = Self.retryMilliseconds[...]
        while true {
            let outcome: LegacyCallOutcome
            do {
                let isEncrypted = await encryption.isEncrypted(room)
                let wire = isEncrypted ? try await encryption.encrypted(type, content, in: room) : content
                try await client.send(
                    isEncrypted ? "m.room.encrypted" : type, content: wire, to: room, as: .init(userID: bot),
                    transactionID: transaction)
                return .said
            } catch let error as MatrixClientError {
                outcome = Self.outcome(of: error)
                note(error, type, room)
            } catch RoomEncryptionFailure.homeserver(let error) {
                outcome = Self.outcome(of: error)
                note(error, type, room)
            } catch {
                note(error, type, room)
                // The device or the list of members: a moment changes nothing.
                return .notNow
            }
            guard outcome != .never, !Task.isCancelled, let delay = delays.popFirst(),
                (try? await clock.sleep(delay)) != nil
            else { return outcome }
        }
    }

    static func outcome(of error: MatrixClientError) -> LegacyCallOutcome {
        switch error {
        // We stopped it ourselves, which says nothing about the homeserver.
        case .noAnswer(.cancelled), .noAnswer(.closed): .unreachable
        case .noAnswer: error.isTransient ? .unreachable : .never
        case .refused, .unexpectedAnswer: error.isTransient ? .notNow : .never
        }
    }

    private func note(_ error: any Error, _ type: String, _ room: RoomID) {
        logger.warning(
            "An event of a one-to-one call could not be sent",
            metadata: ["matrix.room_id": "\(room)", "event": "\(type)", "error.code": "\(error)"])
    }

    // MARK: The database

    private func remember(_ end: LegacyCallEnd) async {
        do {
            try await database.transaction { try LegacyCallStore.store(end, in: $0) }
        } catch {
            events.count(.storeFailed)
            logger.error("A one-to-one call could not be stored", metadata: ["error.code": "\(error)"])
        }
    }

    private func forget(_ end: LegacyCallEnd) async {
        do {
            try await database.transaction { try LegacyCallStore.remove(end, in: $0) }
        } catch {
            events.count(.storeFailed)
            logger.error("An ended one-to-one call could not be removed", metadata: ["error.code": "\(error)"])
        }
    }
}

extension LegacyCallMessage {
    /// From here on the other side may wait for us.
    var begins: Bool {
        switch self {
        case .answer, .invite: true
        case .endOfCandidates, .selectAnswer, .reject, .negotiate, .hangup: false
        }
    }

    /// After it the other side waits no more.
    var ends: Bool {
        switch self {
        case .reject, .hangup: true
        case .answer, .invite, .endOfCandidates, .selectAnswer, .negotiate: false
        }
    }
}

extension LegacyCallPost.Letter {
    var room: RoomID {
        switch self {
        case .message(_, let end), .forget(let end): end.key.roomID
        case .text(_, let room): room
        }
    }

    var key: LegacyCallKey? {
        switch self {
        case .message(_, let end), .forget(let end): end.key
        case .text: nil
        }
    }

    /// The call that is over with it.
    var endedKey: LegacyCallKey? {
        switch self {
        case .message(let message, let end): message.ends ? end.key : nil
        case .forget(let end): end.key
        case .text: nil
        }
    }
}
