// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging
package import OlmE2EE

/// The bot's encrypted device at work: what transactions and syncs bring goes in, requests to the homeserver, readable
/// events and messages come out.
///
///     transaction ─┐                        ┌─▶ readable events ─▶ coordinator
///     sync ────────┼─▶ OlmDevice ─▶ commit ─┼─▶ messages ─▶ whoever takes their type
///     answers ─────┘                        └─▶ queries, claims, uploads, dummies
///
/// Shares the database's executor. Within a transaction the coordinator calls ``read(_:of:)`` in place, so that a
/// ratchet that moved on is stored with what was read, or neither; ``began()``, ``committed()`` and ``undone()``
/// enclose that.
package actor BotEncryption {
    package enum State: Equatable, Sendable {
        case starting
        /// Encrypted rooms work.
        case ready
        /// The homeserver does not let us; `problem` is a sentence for people.
        case unavailable(problem: String)
    }

    package nonisolated let database: Database
    let bot: UserID
    let key: PickleKey
    let client: MatrixClient
    let facts: RoomFactsBook
    let clock: ServiceClock
    let logger: Logger
    /// Why messages, keys and events were not used.
    package nonisolated let refusals = Tally<OlmRefusal>()
    /// Woken when there is something to ask the homeserver.
    package nonisolated let wakeUps = WakeUps()

    var device: OlmDevice?
    package internal(set) var state = State.starting
    var held = HeldEvents()
    /// Messages that are given out when their transaction is committed.
    private var fresh: [ToDeviceMessage] = []
    /// What ``undone()`` goes back to.
    private var before: (device: OlmDevice?, held: HeldEvents)?
    private var takers: [String: AsyncStream<ToDeviceMessage>.Continuation] = [:]
    /// Takes events that became readable later.
    private(set) var onReadable: @Sendable ([RoomEvent]) async -> Void = { _ in }
    /// Hears of events that stay unreadable.
    private(set) var onUnreadable: @Sendable (RoomEvent) async -> Void = { _ in }
    /// The homeserver is to be asked at once what it has for us.
    var wantsSync = true
    /// When the homeserver was last asked; nil at first.
    var lastSync: MonotonicTime?
    /// When what is old was last removed.
    var lastTidy: MonotonicTime?
    /// Beside the database, to notice that an old one was put back; nil where nothing is noticed.
    let marker: GenerationMarker?
    /// The database is older than what the device has done since: its ratchets would be used a second time.
    var isBehind = false
    /// Tries in a row after which the homeserver still gave us no device, and how long it is left alone now.
    var setUpFailures = 0
    var retryMilliseconds: UInt64 = 0
    var transactionNumber: UInt64 = 0
    /// Makes transaction ids of this process differ from those of the last.
    let epoch: UnixMilliseconds

    package nonisolated var unownedExecutor: UnownedSerialExecutor { database.unownedExecutor }

    package init(
        database: Database, bot: UserID, key: PickleKey, client: MatrixClient, facts: RoomFactsBook,
        marker: GenerationMarker? = nil, clock: ServiceClock, logger: Logger,
    ) {
        self.database = database
        self.marker = marker
        self.bot = bot
        self.key = key
        self.client = client
        self.facts = facts
        self.clock = clock
        self.logger = logger
        self.epoch = clock.unixMilliseconds()
    }

    /// Says who takes events whose key came later, and who hears of those whose key never came.
    package func attach(
        onReadable: @escaping @Sendable ([RoomEvent]) async -> Void,
        onUnreadable: @escaping @Sendable (RoomEvent) async -> Void,
    ) {
        self.onReadable = onReadable
        self.onUnreadable = onUnreadable
    }

    /// Reads the stored device; before the first transaction is processed.
    ///
    /// - Throws: ``OlmFault`` when the key is not the one that the device was stored with. It is not replaced: with the
    ///   right key all is there again.
    package func restore() async throws {
        device = try await database.read { try OlmDevice(restoring: self.bot, key: self.key, from: OlmTable($0)) }
        guard let marker, let device, let outside = try marker.read() else { return }
        isBehind = try await database.read { try device.generation(in: OlmTable($0)) < outside }
    }

    /// The bot's device; nil while encryption does not work.
    package var address: DeviceAddress? { state == .ready ? device?.address : nil }

    var now: UnixMilliseconds { clock.unixMilliseconds() }

    /// The bot with its device; nil without one.
    var masquerade: MatrixClient.Masquerade? {
        device.map { MatrixClient.Masquerade(userID: bot, deviceID: $0.address.device) }
    }

    func nextTransactionID() -> String {
        transactionNumber += 1
        return "olm-\(epoch)-\(transactionNumber)"
    }

    // MARK: Within a transaction of the database

    /// Called before a database transaction in which ``read(_:of:)`` is called.
    func began() {
        before = (device, held)
        fresh = []
    }

    /// The transaction is durable: what was read may have effects.
    func committed() {
        before = nil
        for message in fresh {
            let taker = takers[message.type]
            switch taker.map({ $0.yield(message) }) {
            case .enqueued: continue
            // The oldest of those that waited goes.
            case .dropped: refusals.count(.tooManyForTaker)
            case .terminated:
                takers[message.type] = nil
                refusals.count(.unclaimedType)
            case nil: refusals.count(.unclaimedType)
            @unknown default: continue
            }
        }
        fresh = []
        if state == .ready, wantsSync || device?.hasWork == true { wakeUps.wake() }
    }

    /// The transaction failed and nothing of it counts.
    func undone() {
        if let before { (device, held) = before }
        before = nil
        fresh = []
    }

    /// Takes a homeserver's transaction, in a database transaction.
    ///
    /// - Returns: its events as they can be read, and before them those of earlier that can be read now. Events without
    ///   their key, and those that nobody can read, are left out.
    func read(_ events: [RoomEvent], of body: JSONValue) throws -> [RoomEvent] {
        guard let address = device?.address else { return events }
        let store = OlmTable(database.connectionInPlace)
        let news = DeviceNews(ofTransaction: body, user: address.user, device: address.device)
        var readable: [RoomEvent] = []
        do {
            readable = try take(news, in: store)
        } catch let fault as OlmFault {
            // Calls go on: what the device cannot do concerns encrypted rooms alone.
            refusals.count(.deviceFault)
            logger.error(
                "Messages to the bot's encrypted device could not be processed",
                metadata: ["error.code": "\(fault.code)"])
        }
        if let count = news.oneTimeKeyCount, count < OlmDevice.oneTimeKeyTarget / 2 { wantsSync = true }
        if let types = news.unusedFallbackKeyTypes, types.isEmpty { wantsSync = true }
        for event in events {
            guard event.type == "m.room.encrypted", event.stateKey == nil, !event.isRedacted, event.sender != bot else {
                readable.append(event)
                continue
            }
            if let event = try open(event, in: store) { readable.append(event) }
        }
        return readable
    }

    /// Takes the to-device messages and changed devices of a transaction or a sync.
    ///
    /// - Returns: events that can be read now.
    func take(_ news: DeviceNews, in store: OlmTable) throws -> [RoomEvent] {
        refusals.count(.tooManyMessages, times: UInt64(news.surplus))
        try device?.devicesChanged(of: news.changedUsers, in: store)
        var outcomes: [ToDeviceOutcome] = []
        for event in news.toDevice {
            guard let outcome = try device?.receive(event, in: store, at: now) else { break }
            outcomes.append(outcome)
        }
        return try take(outcomes, in: store)
    }

    func take(_ outcomes: [ToDeviceOutcome], in store: OlmTable) throws -> [RoomEvent] {
        var readable: [RoomEvent] = []
        for outcome in outcomes {
            switch outcome {
            case .message(let message): fresh.append(message)
            case .roomKey(let room, let sessionID):
                for event in held.release(room, sessionID: sessionID) {
                    if let event = try open(event, in: store) { readable.append(event) }
                }
            case .waiting, .dummy: continue
            case .refused(let refusal, let sender):
                refusals.count(refusal)
                logger.debug(
                    "A to-device message or a key was refused",
                    metadata: ["reason": "\(refusal.rawValue)", "matrix.user_id": "\(sender?.rawValue ?? "")"])
            }
        }
        return readable
    }

    /// The event in the clear; nil when it is held, or refused.
    private func open(_ event: RoomEvent, in store: OlmTable) throws -> RoomEvent? {
        switch try device?.open(event, in: store, at: now) {
        case nil: return nil
        case .opened(let opened): return opened
        case .missingKey(let sessionID):
            if held.hold(event, sessionID: sessionID, at: now) != nil { refusals.count(.tooManyHeld) }
            // The key may lie at the homeserver, from a time when we were not there.
            wantsSync = true
            return nil
        case .refused(let refusal):
            refusals.count(refusal)
            logger.debug(
                "An encrypted event was refused",
                metadata: ["reason": "\(refusal.rawValue)", "matrix.event_id": "\(event.eventID)"])
            return nil
        }
    }

    /// Runs `body` in a database transaction of our own, and gives out what came of it.
    func change(_ body: (OlmTable) throws -> [RoomEvent]) async throws {
        began()
        let readable: [RoomEvent]
        do {
            readable = try database.transactionInPlace { try body(OlmTable($0)) }
        } catch {
            undone()
            throw error
        }
        committed()
        if !readable.isEmpty { await onReadable(readable) }
    }

    // MARK: Takers

    /// See ``ToDeviceMessaging/messages(ofTypes:)``.
    package func messages(ofTypes types: Set<String>) -> AsyncStream<ToDeviceMessage> {
        let (stream, continuation) = AsyncStream<ToDeviceMessage>.makeStream(bufferingPolicy: .bufferingNewest(256))
        for type in types {
            takers[type] = continuation
        }
        return stream
    }
}
