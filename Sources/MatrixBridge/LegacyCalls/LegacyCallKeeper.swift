// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging

/// Answers one-to-one calls with an echo: the thin shell around ``LegacyCallTable``. Events and wishes go through one
/// queue, so that what is said in a call leaves in order.
///
///     committed events ──▶ queue ──▶ LegacyCallTable ──▶ events, mirrors of the focus
///                           ▲ a tick each second while there are calls
package actor LegacyCallKeeper {
    /// What stood in the way, to be counted.
    package enum Event: String, CaseIterable, Sendable {
        case answered
        /// Too many events wait.
        case overflowed
        /// The homeserver did not take an event.
        case sendFailed
        /// A call of an earlier process was hung up.
        case hungUpLate
        /// The database did not take a call, which a crash would leave open.
        case storeFailed
    }

    private enum Item: Sendable {
        case events([LegacyCallEvent])
        case left(UserID, RoomID)
        case hangUp(RoomID)
        case ring(UserID, RoomID)
        case tick
    }

    private static let tickMilliseconds: UInt64 = 1_000
    private static let maximumWaiting = 1_000
    /// Waits before the repetition of an event that the homeserver did not take.
    private static let retryMilliseconds: [UInt64] = [500, 1_500]
    /// How long our invites ring. Media has what is left of a minute.
    private static let inviteLifetime: Milliseconds = 30_000
    /// How often, and how many times, peers are told that did not hear it. Their clients give up by themselves.
    private static let farewellMilliseconds: Milliseconds = 5_000
    private static let farewellRounds = 60

    private var table: LegacyCallTable
    private let admission: LegacyCallAdmission
    private let media: any LegacyCallMedia
    private let database: Database
    private let client: MatrixClient
    private let encryption: any RoomEventEncrypting
    private let facts: RoomFactsBook
    private let attempts: AttemptLog
    private let clock: ServiceClock
    private let logger: Logger
    private var rate = RequestRate(burst: 5, perSecond: 0.1, maximumNames: 1_024)
    /// Calls whose peer could not be told that they are over.
    private var unheard: Set<LegacyCallEnd> = []
    private var nextFarewell: UnixMilliseconds = 0
    private var farewellsLeft = farewellRounds
    private var censuses: [LegacyCallKey: CandidateCensus] = [:]
    private var lastTransaction: UInt64 = 0
    /// Makes transaction ids of this process differ from those of the last.
    private let epoch: Int64
    private let items: AsyncStream<Item>
    private nonisolated let inlet: AsyncStream<Item>.Continuation
    /// Something is there that time matters to.
    private let work = WakeUps()
    package nonisolated let events = Tally<Event>()
    package nonisolated let refusals = Tally<LegacyCallRefusal>()
    package nonisolated let stops = Tally<LegacyCallStop>()

    package init(
        limits: LegacyCallLimits, admission: LegacyCallAdmission, media: any LegacyCallMedia, database: Database,
        client: MatrixClient, encryption: any RoomEventEncrypting, bot: UserID, facts: RoomFactsBook,
        attempts: AttemptLog, clock: ServiceClock, logger: Logger,
    ) {
        table = LegacyCallTable(me: bot, limits: limits)
        self.admission = admission
        self.media = media
        self.database = database
        self.client = client
        self.encryption = encryption
        self.facts = facts
        self.attempts = attempts
        self.clock = clock
        self.logger = logger
        epoch = clock.unixMilliseconds()
        (items, inlet) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.maximumWaiting))
    }

    // MARK: What comes in

    /// The events of one transaction, in their order.
    package nonisolated func take(_ events: [LegacyCallEvent]) {
        put(.events(events))
    }

    package nonisolated func left(_ user: UserID, _ room: RoomID) {
        put(.left(user, room))
    }

    /// Ends the calls of a room.
    ///
    /// - Returns: how many there are.
    package func hangUp(in room: RoomID) -> Int {
        let count = table.entries.count { $0.key.roomID == room }
        if count > 0 { put(.hangUp(room)) }
        return count
    }

    /// Calls somebody in a room.
    ///
    /// - Returns: why not; nil when it will ring.
    package func ring(_ user: UserID, in room: RoomID) -> LegacyCallRefusal? {
        guard let place = Self.place(facts.facts(of: room)) else { return .unknownRoom }
        if let refusal = table.refusalToCall(user, in: room, place) ?? admission.refusal(of: user, in: room) {
            return refusal
        }
        guard rate.spend(user.rawValue, at: clock.monotonic()) == nil else { return .rateLimited }
        put(.ring(user, room))
        return nil
    }

    private static func place(_ facts: RoomFacts?) -> LegacyCallPlace? {
        facts.map { LegacyCallPlace(isPublic: $0.isPublic, joinedCount: $0.joined.count) }
    }

    private static func randomName(length: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return Secret.random(length: length, using: &generator).exposed
    }

    private nonisolated func put(_ item: Item) {
        if case .dropped = inlet.yield(item) { events.count(.overflowed) }
    }

    /// Oldest first.
    package var entries: [LegacyCallTable.Entry] { table.entries }

    // MARK: Work

    /// Reads which calls an earlier process left open; they are hung up as soon as the homeserver is there.
    package func restore() async throws {
        unheard = Set(try await database.read { try LegacyCallStore.load(from: $0) })
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.keepTime() }
            await work()
            group.cancelAll()
        }
    }

    private func work() async {
        work.wake()
        for await item in items {
            let now = clock.unixMilliseconds()
            switch item {
            case .events(let events): await perform(receive(events, at: now))
            case .left(let user, let room): await perform(table.left(user, room))
            case .hangUp(let room): await perform(table.hangUp(in: room))
            case .ring(let user, let room): await perform(invite(user, room, at: now))
            case .tick: await tick(at: now)
            }
            if hasWork { work.wake() }
        }
    }

    private var hasWork: Bool { !table.isEmpty || !unheard.isEmpty }

    private func keepTime() async {
        for await _ in work.stream where hasWork {
            guard (try? await clock.sleep(Self.tickMilliseconds)) != nil else { return }
            put(.tick)
        }
    }

    /// Says goodbye to everybody; after ``run()``.
    package func shutDown() async {
        await perform(table.hangUp())
    }

    private func receive(_ events: [LegacyCallEvent], at now: UnixMilliseconds) -> [LegacyCallAction] {
        let time = clock.monotonic()
        return table.receive(
            events, at: now,
            place: { Self.place(facts.facts(of: $0)) }, partyID: { Self.randomName(length: 8) },
            admit: { invite in
                let caller = invite.header.sender
                let refusal =
                    rate.spend(caller.rawValue, at: time) == nil
                    ? admission.refusal(of: caller, in: invite.header.roomID) : .rateLimited
                let outcome = refusal.map { "turned down: \($0.rawValue)" } ?? "answered"
                attempts.note(caller, in: invite.header.roomID, "called me, \(outcome)", at: now)
                return refusal
            })
    }

    private func tick(at now: UnixMilliseconds) async {
        if !unheard.isEmpty, now >= nextFarewell { await sayFarewells(at: now) }
        for entry in table.entries {
            switch await media.state(ofMirror: Self.mirror(of: entry.key)) {
            case .connected: table.mediaCameUp(entry.key)
            case .connecting: break
            case .absent: await perform(table.mediaWentDown(entry.key))
            }
        }
        await perform(table.advance(to: now))
    }

    private func sayFarewells(at now: UnixMilliseconds) async {
        nextFarewell = now + Self.farewellMilliseconds
        farewellsLeft -= 1
        for end in unheard {
            let isSent = await send(.hangup(.unknownError), end)
            if isSent { events.count(.hungUpLate) }
            guard isSent || farewellsLeft <= 0 else { break }
            await forget(end)
        }
        if unheard.isEmpty { farewellsLeft = Self.farewellRounds }
    }

    /// Call ids are unique within a room.
    private static func mirror(of key: LegacyCallKey) -> String { "\(key.roomID) \(key.callID)" }

    private func perform(_ actions: [LegacyCallAction]) async {
        var waiting = actions[...]
        while let action = waiting.popFirst() {
            waiting += await perform(action)
        }
    }

    /// - Returns: what follows from it.
    private func perform(_ action: LegacyCallAction) async -> [LegacyCallAction] {
        switch action {
        case .makeAnswer(let key, let offer): return await makeAnswer(to: offer, key)
        case .addCandidates(let key, let candidates):
            for candidate in candidates { censuses[key, default: CandidateCensus()].note(candidate.line) }
        case .send(let message, let end):
            return await deliver(message, end)
        case .stop(let end, let stop): await stopped(end, stop)
        case .takeAnswer(let key, let answer): return await take(answer, key)
        // We make no offers in a running call.
        case .rollBack: break
        case .refused(let refusal): refusals.count(refusal)
        }
        return []
    }

    private func deliver(_ message: LegacyCallMessage, _ end: LegacyCallEnd) async -> [LegacyCallAction] {
        let begins =
            switch message {
            case .answer, .invite: true
            case .endOfCandidates, .selectAnswer, .reject, .negotiate, .hangup: false
            }
        if begins { await remember(end) }
        let isSent = await send(message, end)
        if case .hangup = message, !isSent { unheard.insert(end) }
        // A call that the other side may not have heard of must not go on.
        return begins && !isSent ? table.hangUp(in: end.key.roomID) : []
    }

    private func invite(_ user: UserID, _ room: RoomID, at now: UnixMilliseconds) async -> [LegacyCallAction] {
        let key = LegacyCallKey(roomID: room, callID: Self.randomName(length: 16))
        let end = LegacyCallEnd(key: key, partyID: Self.randomName(length: 8), version: .one)
        do throws(MirrorRefusal) {
            let offer = try await media.offer(mirror: Self.mirror(of: key))
            let actions = table.invite(
                user, from: end, offering: .init(sdp: offer.sdp, streamID: offer.streamID),
                lifetime: Self.inviteLifetime, at: now)
            // Somebody else was faster.
            if case .refused = actions.first { await media.end(mirror: Self.mirror(of: key)) }
            return actions
        } catch {
            logger.info(
                "A one-to-one call cannot be made", metadata: ["matrix.room_id": "\(room)", "reason": "\(error)"])
            return []
        }
    }

    private func take(_ answer: String, _ key: LegacyCallKey) async -> [LegacyCallAction] {
        censuses[key, default: CandidateCensus()].note(description: answer)
        do throws(MirrorRefusal) {
            try await media.take(answer: answer, mirror: Self.mirror(of: key))
            return []
        } catch {
            logger.info(
                "The answer to a one-to-one call cannot be taken",
                metadata: ["matrix.room_id": "\(key.roomID)", "reason": "\(error)"])
            return table.cannotAnswer(key)
        }
    }

    private func makeAnswer(to offer: String, _ key: LegacyCallKey) async -> [LegacyCallAction] {
        censuses[key, default: CandidateCensus()].note(description: offer)
        do throws(MirrorRefusal) {
            let answer = try await media.answer(offer, mirror: Self.mirror(of: key))
            return table.answered(
                key, with: .init(sdp: answer.sdp, streamID: answer.streamID), at: clock.unixMilliseconds())
        } catch {
            logger.info(
                "The offer of a one-to-one call cannot be answered",
                metadata: ["matrix.room_id": "\(key.roomID)", "reason": "\(error)"])
            return table.cannotAnswer(key)
        }
    }

    private func stopped(_ end: LegacyCallEnd, _ stop: LegacyCallStop) async {
        stops.count(stop)
        logger.info(
            "A one-to-one call ended", metadata: ["matrix.room_id": "\(end.key.roomID)", "reason": "\(stop.rawValue)"])
        await media.end(mirror: Self.mirror(of: end.key))
        let census = censuses.removeValue(forKey: end.key) ?? CandidateCensus()
        if !unheard.contains(end) { await forget(end) }
        if stop == .connectionFailed {
            await say("I answered, but no media connection to you came up. \(census.sentences)", in: end.key.roomID)
        }
    }

    // MARK: The homeserver and the database

    private func send(_ message: LegacyCallMessage, _ end: LegacyCallEnd) async -> Bool {
        let isSent = await send(message.eventType, message.content(from: end), to: end.key.roomID)
        if isSent, case .answer = message {
            events.count(.answered)
            logger.info("A one-to-one call was answered", metadata: ["matrix.room_id": "\(end.key.roomID)"])
        }
        return isSent
    }

    private func say(_ text: String, in room: RoomID) async {
        _ = await send("m.room.message", BotReply.text(text).content(answering: nil), to: room)
    }

    /// - Returns: false when trying again may help; what the homeserver refuses for good counts as said.
    private func send(_ type: String, _ content: JSONObject, to room: RoomID) async -> Bool {
        lastTransaction += 1
        let transaction = "call-\(epoch)-\(lastTransaction)"
        var delays = Self.retryMilliseconds[...]
        while true {
            var mayHelp = true
            do {
                let isEncrypted = await encryption.isEncrypted(room)
                let wire = isEncrypted ? try await encryption.encrypted(type, content, in: room) : content
                try await client.send(
                    isEncrypted ? "m.room.encrypted" : type, content: wire, to: room, as: .init(userID: table.me),
                    transactionID: transaction)
                return true
            } catch let error as MatrixClientError {
                mayHelp = error.isTransient
                note(error, type, room)
            } catch {
                note(error, type, room)
            }
            guard mayHelp, let delay = delays.popFirst(), (try? await clock.sleep(delay)) != nil else {
                events.count(.sendFailed)
                return !mayHelp
            }
        }
    }

    private func note(_ error: any Error, _ type: String, _ room: RoomID) {
        logger.warning(
            "An event of a one-to-one call could not be sent",
            metadata: ["matrix.room_id": "\(room)", "event": "\(type)", "error.code": "\(error)"])
    }

    private func remember(_ end: LegacyCallEnd) async {
        do {
            try await database.transaction { try LegacyCallStore.store(end, in: $0) }
        } catch {
            events.count(.storeFailed)
            logger.error("A one-to-one call could not be stored", metadata: ["error.code": "\(error)"])
        }
    }

    private func forget(_ end: LegacyCallEnd) async {
        unheard.remove(end)
        do {
            try await database.transaction { try LegacyCallStore.remove(end, in: $0) }
        } catch {
            events.count(.storeFailed)
            logger.error("An ended one-to-one call could not be removed", metadata: ["error.code": "\(error)"])
        }
    }
}
