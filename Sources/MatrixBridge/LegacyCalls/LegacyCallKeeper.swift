// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging
import NIOConcurrencyHelpers

/// Answers one-to-one calls with an echo: the thin shell around ``LegacyCallTable``. Events, wishes and what became of
/// our own events go through one queue, and nothing in its loop waits for the network: ``LegacyCallPost`` does.
///
///     committed events ──▶ LegacyCallInbox ──▶ LegacyCallTable ──▶ mirrors of the focus
///                           ▲ a tick each second     └──▶ LegacyCallPost, a queue for each room
///                           └──────────── what became of an event ──────┘
package actor LegacyCallKeeper {
    /// What stood in the way, to be counted.
    package enum Event: String, CaseIterable, Sendable {
        case answered
        /// Too many events wait, or too much is to be said in a room.
        case overflowed
        /// The homeserver did not take an event.
        case sendFailed
        /// A call of an earlier process was hung up, or one at the end of which the homeserver was away.
        case hungUpLate
        /// The database did not take a call, which a crash would leave open.
        case storeFailed
    }

    /// A peer that does not know yet that its call is over.
    private struct Farewell {
        var rounds = 0
        var next: UnixMilliseconds = 0
    }

    private static let tickMilliseconds: UInt64 = 1_000
    /// How long our invites ring. Media has what is left of a minute.
    private static let inviteLifetime: Milliseconds = 30_000
    /// Pauses between farewells, which double; and how many a homeserver that answers gets. After ten minutes no client
    /// waits any more.
    private static let farewellMilliseconds: ClosedRange<Milliseconds> = 5_000...60_000
    private static let farewellRounds = 12
    /// The last words have that long when the service stops.
    private static let shutDownMilliseconds: UInt64 = 3_000

    var table: LegacyCallTable
    private let admission: LegacyCallAdmission
    let media: any LegacyCallMedia
    private let database: Database
    let post: LegacyCallPost
    private let facts: RoomFactsBook
    private let attempts: AttemptLog
    let clock: ServiceClock
    let logger: Logger
    private var rates: LegacyCallRates
    private var held = HeldInvites()
    private var unheard: [LegacyCallEnd: Farewell] = [:]
    var censuses: [LegacyCallKey: CandidateCensus] = [:]
    private nonisolated let inbox = LegacyCallInbox()
    /// Rooms with calls, whose events count even if others have come in.
    private nonisolated let busyRooms = NIOLockedValueBox<Set<RoomID>>([])
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
        self.facts = facts
        self.attempts = attempts
        self.clock = clock
        self.logger = logger
        rates = LegacyCallRates(local: bot.serverName)
        post = LegacyCallPost(
            bot: bot, database: database, client: client, encryption: encryption, inbox: inbox, events: events,
            clock: clock, logger: logger)
    }

    // MARK: What comes in

    /// The events of one transaction, in their order. Those of rooms in which no call is answered end here.
    package nonisolated func take(_ events: [LegacyCallEvent]) {
        let wanted = events.filter { event in
            let room = event.header.roomID
            let refusal: LegacyCallRefusal? =
                switch (place(room), event) {
                // The state of the room may come.
                case (nil, .invite), (nil, .hangup): nil
                case (nil, _): .unknownRoom
                case (let place?, _): place.isPublic ? .publicRoom : place.joinedCount > 2 ? .crowdedRoom : nil
                }
            guard let refusal, !busyRooms.withLockedValue({ $0.contains(room) }) else { return true }
            refusals.count(refusal)
            return false
        }
        if !wanted.isEmpty { put(.events(wanted)) }
    }

    package nonisolated func left(_ user: UserID, _ room: RoomID) {
        let count = place(room)?.joinedCount ?? 0
        guard count <= 2 || busyRooms.withLockedValue({ $0.contains(room) }) else { return }
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

    /// Calls somebody in a room. What prevents it later is said in the room.
    ///
    /// - Returns: why not; nil when it will ring.
    package func ring(_ user: UserID, in room: RoomID) -> LegacyCallRefusal? {
        guard let place = place(room) else { return .unknownRoom }
        if let refusal = table.refusalToCall(user, in: room, place) ?? admission.refusal(of: user, in: room) {
            return refusal
        }
        guard rates.spendRing(user, at: clock.monotonic()) else { return .rateLimited }
        put(.ring(user, room))
        return nil
    }

    private nonisolated func place(_ room: RoomID) -> LegacyCallPlace? {
        facts.facts(of: room).map {
            LegacyCallPlace(isPublic: $0.isPublic, joinedCount: $0.joined.count, isEncrypted: $0.isEncrypted)
        }
    }

    private static func randomName(length: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return Secret.random(length: length, using: &generator).exposed
    }

    private nonisolated func put(_ item: LegacyCallInbox.Item) {
        let dropped = inbox.put(item)
        if dropped > 0 { events.count(.overflowed, times: UInt64(dropped)) }
    }

    /// Oldest first.
    package var entries: [LegacyCallTable.Entry] { table.entries }

    // MARK: Work

    /// Reads which calls an earlier process left open; they are hung up as soon as the homeserver is there.
    package func restore() async throws {
        let ends = try await database.read { try LegacyCallStore.load(from: $0) }
        unheard = Dictionary(ends.map { ($0, Farewell()) }) { first, _ in first }
    }

    /// Works until the task is cancelled.
    package func run() async {
        let post = post
        await withTaskGroup { group in
            group.addTask { await self.keepTime() }
            group.addTask { await post.run() }
            await work()
            group.cancelAll()
        }
    }

    private func work() async {
        work.wake()
        for await _ in inbox.wakeUps.stream {
            for item in inbox.takeAll() {
                await perform(item, at: clock.unixMilliseconds())
                busyRooms.withLockedValue { $0 = Set(table.entries.map(\.key.roomID)) }
            }
            if hasWork { work.wake() }
        }
    }

    private func perform(_ item: LegacyCallInbox.Item, at now: UnixMilliseconds) async {
        switch item {
        case .events(let events):
            await perform(receive(held.take(events, at: now) { place($0) != nil }, at: now))
        case .left(let user, let room): await perform(table.left(user, room))
        case .hangUp(let room): await perform(table.hangUp(in: room))
        case .ring(let user, let room): await perform(invite(user, room, at: now))
        case .reported(let message, let end, let outcome):
            await perform(reported(message, end, outcome, at: now))
        case .tick: await tick(at: now)
        }
    }

    private var hasWork: Bool { !table.isEmpty || !unheard.isEmpty || !held.isEmpty }

    private func keepTime() async {
        for await _ in work.stream where hasWork {
            guard (try? await clock.sleep(Self.tickMilliseconds)) != nil else { return }
            put(.tick)
        }
    }

    /// Says goodbye to everybody; after ``run()``.
    package func shutDown() async {
        await perform(table.hangUp())
        // Calls are stored: what the homeserver does not take in time is said after the next start.
        await withTaskGroup { [clock, post] group in
            group.addTask { await post.finish() }
            group.addTask { _ = try? await clock.sleep(Self.shutDownMilliseconds) }
            await group.next()
            group.cancelAll()
        }
    }

    private func receive(_ events: [LegacyCallEvent], at now: UnixMilliseconds) -> [LegacyCallAction] {
        let time = clock.monotonic()
        var asked: [(key: LegacyCallKey, caller: UserID, refusal: LegacyCallRefusal?)] = []
        let actions = table.receive(
            events, at: now, place: { place($0) }, partyID: { Self.randomName(length: 8) },
            admit: { invite in
                let caller = invite.header.sender
                let room = invite.header.roomID
                let refusal = rates.spend(caller, refusal: admission.refusal(of: caller, in: room), at: time)
                asked.append((invite.header.key, caller, refusal))
                return refusal
            })
        for (key, caller, refusal) in asked {
            let isTaken = actions.contains { if case .makeAnswer(key, _) = $0 { true } else { false } }
            let reason = refusal ?? (isTaken ? nil : .tooManyCalls)
            let outcome = reason.map { "turned down: \($0.rawValue)" } ?? "answered"
            attempts.note(caller, in: key.roomID, "called me, \(outcome)", at: now)
        }
        return actions
    }

    private func tick(at now: UnixMilliseconds) async {
        await sayFarewells(at: now)
        let ready = held.release(at: now) { place($0) != nil }
        if !ready.isEmpty { await perform(receive(ready, at: now)) }
        for entry in table.entries {
            switch await media.state(ofMirror: Self.mirror(of: entry.key)) {
            case .connected: table.mediaCameUp(entry.key)
            case .connecting: break
            case .closed: table.mediaWasClosed(entry.key, at: now)
            case .absent: await perform(table.mediaWentDown(entry.key))
            }
        }
        await perform(table.advance(to: now))
    }

    private func sayFarewells(at now: UnixMilliseconds) async {
        for (end, farewell) in unheard where farewell.next <= now {
            guard farewell.rounds < Self.farewellRounds else {
                unheard[end] = nil
                _ = await post.put(.forget(end))
                continue
            }
            // Until it is reported what became of it.
            unheard[end]?.next = .max
            _ = await post.put(.message(.hangup(.unknownError), end))
        }
    }

    /// Call ids are unique within a room.
    static func mirror(of key: LegacyCallKey) -> String { "\(key.roomID) \(key.callID)" }

    func perform(_ actions: [LegacyCallAction]) async {
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
            // What the other side may not hear of must not go on.
            if !(await post.put(.message(message, end))) { return table.hangUp(end.key) }
        case .stop(let end, let stop): await stopped(end, stop)
        case .takeAnswer(let key, let answer): return await take(answer, key)
        case .refused(let refusal): refusals.count(refusal)
        }
        return []
    }

    /// What became of an event of ours.
    private func reported(
        _ message: LegacyCallMessage, _ end: LegacyCallEnd, _ outcome: LegacyCallOutcome, at now: UnixMilliseconds,
    ) -> [LegacyCallAction] {
        switch (message, outcome) {
        case (.answer, .said):
            events.count(.answered)
            logger.info("A one-to-one call was answered", metadata: ["matrix.room_id": "\(end.key.roomID)"])
        case (.answer, .never), (.invite, .never): return table.homeserverRefused(end.key)
        // Nobody knows whether the other side heard it.
        case (.answer, _), (.invite, .notNow), (.invite, .unreachable): return table.hangUp(end.key)
        case (.hangup, .said), (.hangup, .never):
            if unheard.removeValue(forKey: end) != nil, outcome == .said { events.count(.hungUpLate) }
        case (.hangup, .notNow), (.hangup, .unreachable):
            var farewell = unheard[end] ?? Farewell()
            // A homeserver that is away uses no round up.
            if outcome == .notNow { farewell.rounds += 1 }
            let pause = Self.farewellMilliseconds.lowerBound << min(farewell.rounds, 4)
            farewell.next = now + min(pause, Self.farewellMilliseconds.upperBound)
            unheard[end] = farewell
        case (.invite, .said), (.endOfCandidates, _), (.selectAnswer, _), (.reject, _), (.negotiate, _): break
        }
        return []
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
            _ = await post.put(.text("I cannot call you: \(error).", room))
            return []
        }
    }
}
