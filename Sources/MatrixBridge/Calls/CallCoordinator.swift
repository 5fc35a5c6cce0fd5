// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import Logging

/// Follows the calls of all rooms we see: events of stored transactions go in, the roster and orders to the focus come
/// out.
///
/// The roster in memory and its rows change together: the actor shares the database's executor, so nothing comes
/// between a change and its commit. Orders to the focus follow the commit. They need no storage of their own: the
/// focus is in this process, so a crash that loses an order also ends the participants it was about.
package actor CallCoordinator: TransactionConsumer {
    private nonisolated let database: Database
    private let enforcement: CallEnforcement
    private let facts: RoomFactsBook
    /// Takes commands; nil when nobody does.
    private let desk: BotDesk?
    /// Reads encrypted events; nil when nobody does.
    private let encryption: BotEncryption?
    /// Answers one-to-one calls; nil when nobody does.
    private let legacyCalls: LegacyCallKeeper?
    /// Rooms that the bot has just come to, and whose state is not known yet.
    private var arrivals: Set<RoomID> = []
    private let membershipPolicy: BotMembershipPolicy
    /// Woken when an errand of the bot was stored.
    private let errands: WakeUps
    private let clock: ServiceClock
    private let logger: Logger
    private var roster = CallRoster()
    /// What rang lately. In memory only: a ring lasts seconds.
    private var board = RingBoard()
    /// Rooms whose state is being read, and whether something happened there since the reading began.
    private var readings: [RoomID: Bool] = [:]
    /// Events that had no effect, by reason.
    package nonisolated let refusals = Tally<EventRefusal>()
    /// Invitations and joins of the bot that are not followed, because too many rooms wait.
    package nonisolated let refusedErrands = Tally<RoomErrand.Kind>()

    package nonisolated var unownedExecutor: UnownedSerialExecutor { database.unownedExecutor }

    /// The longest time an expired membership may stay; a nearer expiry that arrives meanwhile waits for it.
    private static let expiryCheckMilliseconds: UInt64 = 5_000

    package init(
        database: Database, enforcement: CallEnforcement, facts: RoomFactsBook, desk: BotDesk? = nil,
        encryption: BotEncryption? = nil, legacyCalls: LegacyCallKeeper? = nil,
        membershipPolicy: BotMembershipPolicy, errands: WakeUps, clock: ServiceClock, logger: Logger,
    ) {
        self.database = database
        self.enforcement = enforcement
        self.facts = facts
        self.desk = desk
        self.encryption = encryption
        self.legacyCalls = legacyCalls
        self.membershipPolicy = membershipPolicy
        self.errands = errands
        self.clock = clock
        self.logger = logger
    }

    /// Rebuilds the roster from its rows; before the first transaction is processed.
    package func restore() async throws {
        roster = try await database.read { try RosterTable.load(from: $0) }
        try await expire()
        logger.info("The call roster was restored", metadata: ["calls": "\(roster.calls.count)"])
    }

    /// Every running call.
    package var calls: [RosterCall] { roster.calls }

    /// Who takes part in the calls of a room.
    package func members(in room: RoomID) -> [RosterMember] { roster.members(in: room) }

    /// What rang lately in a room, oldest first.
    package func rings(in room: RoomID) -> [RingBoard.Ring] { board.rings(in: room) }

    /// The memberships of a server's users.
    package func memberships(ofServer server: ServerName) -> [RosterEntry] {
        roster.entries { $0.membership != nil && $0.sender.serverName == server }
    }

    /// Removes memberships when their time has come, until the task is cancelled.
    package func run() async {
        while (try? await clock.sleep(Self.expiryCheckMilliseconds)) != nil {
            do {
                try await expire()
            } catch {
                logger.error("Expired memberships could not be removed", metadata: ["error.code": "\(error)"])
            }
        }
    }

    /// Removes the memberships whose time has come.
    package func expire() async throws {
        let now = clock.unixMilliseconds()
        board.expire(at: now)
        guard let next = roster.nextExpiry, next <= now else { return }
        var changed = roster
        let changes = changed.expire(at: now)
        try database.transactionInPlace { connection in
            for change in changes {
                try RosterTable.store(change, in: connection)
            }
        }
        roster = changed
        await perform(changes, removing: [])
    }

    package func consume(_ transaction: StoredTransaction) async throws {
        let body = (try? JSONValue.parse(transaction.body, limits: TransactionInbox.limits)) ?? .null
        let events = Self.events(of: body, countingIn: refusals).map { event in
            var event = event
            event.receivedAt = transaction.receivedAt
            return event
        }
        var run = EventRun(effects: Effects(roster: roster, now: clock.unixMilliseconds()))
        try process(events, of: body, sequence: transaction.sequence, into: &run)
        await finish(run)
    }

    /// One database transaction, in which the encrypted device takes its part.
    private func process(
        _ events: [RoomEvent], of body: JSONValue, sequence: Int64, into run: inout EventRun,
    ) throws {
        encryption?.assumeIsolated { $0.began() }
        do {
            try database.transactionInPlace { connection in
                let readable = try encryption?.assumeIsolated { try $0.read(events, of: body) } ?? events
                try take(readable, sequence: sequence, into: &run, connection)
                try TransactionTable.markProcessed(sequence: sequence, in: connection)
            }
        } catch {
            encryption?.assumeIsolated { $0.undone() }
            throw error
        }
        encryption?.assumeIsolated { $0.committed() }
    }

    /// Takes events of earlier transactions, whose keys came later.
    package func consume(readable events: [RoomEvent]) async throws {
        var run = EventRun(effects: Effects(roster: roster, now: clock.unixMilliseconds()))
        try database.transactionInPlace { connection in
            try take(events, sequence: TransactionTable.lastSequence(in: connection), into: &run, connection)
        }
        await finish(run)
    }

    /// A run of events, and what it leads to.
    private struct EventRun {
        var effects: Effects
        /// Rooms of which the state, read before, may be out of date.
        var touched: Set<RoomID> = []
    }

    private nonisolated func take(
        _ events: [RoomEvent], sequence: Int64, into run: inout EventRun, _ connection: SQLiteConnection,
    ) throws {
        for event in events {
            let decoded = admitted(CallEvent.decode(event), of: event, run.effects)
            if decoded == .other { continue }
            if case .message(let message) = decoded, desk?.wants(message) != true { continue }
            let isNew = try TransactionTable.apply(
                eventID: event.eventID.rawValue, sequence: sequence, in: connection)
            guard isNew else { continue }
            if case .message = decoded {} else { run.touched.insert(event.roomID) }
            try run.effects.apply(decoded, of: event, in: connection)
            run.effects.news.append((event.roomID, decoded))
            if case .message(let message) = decoded { run.effects.messages.append(message) }
            if case .roomMember(let member) = decoded {
                let decision = membershipPolicy.decision(on: member, by: event.sender)
                try follow(decision, member.roomID, &run.effects, connection)
            }
        }
    }

    private func finish(_ run: EventRun) async {
        roster = run.effects.roster
        for room in run.touched where readings[room] != nil {
            readings[room] = true
        }
        await committed(run.effects)
    }

    /// A second line behind the homeserver's own rules: who is not in a room is in no call of it. Rooms that we do not
    /// see have no list of members to say so.
    private nonisolated func admitted(_ decoded: CallEvent, of event: RoomEvent, _ effects: Effects) -> CallEvent {
        guard case .membership(.joined) = decoded, facts.version(of: event.roomID) != 0 else { return decoded }
        let isJoined =
            effects.attendance[event.roomID]?[event.sender] ?? facts.isJoined(event.sender, to: event.roomID)
        return isJoined ? decoded : .refused(.senderNotJoined)
    }

    // MARK: The state of a room

    /// Called before the state of a room is asked for.
    package func stateReadingBegan(of room: RoomID) {
        readings[room] = false
    }

    package func stateReadingFailed(of room: RoomID) {
        readings[room] = nil
    }

    /// Takes the state of a room the bot has just come to.
    ///
    /// The events are not noted as applied: older ones that the homeserver still holds back for us may follow, and with
    /// them, again, those that the state consists of.
    /// - Returns: false when something happened in the room since the reading began. The state may be older than that,
    ///   so nothing of it was taken; it must be read again.
    package func take(_ state: RoomState, of room: RoomID) async throws -> Bool {
        guard readings.removeValue(forKey: room) == false else { return false }
        var effects = Effects(roster: roster, now: clock.unixMilliseconds())
        try database.transactionInPlace { connection in
            for event in state.events {
                try effects.apply(CallEvent.decode(event), of: event, in: connection)
            }
        }
        roster = effects.roster
        for refusal in state.refusals {
            refusals.count(refusal)
        }
        facts.set(state.facts, of: room)
        if arrivals.remove(room) != nil { desk?.joined(room) }
        // What changed while nobody told us: levels, a tombstone.
        effects.levelChanges.insert(room)
        if state.facts.tombstone != nil { effects.replaced.insert(room) }
        await committed(effects)
        return true
    }

    // MARK: Effects

    /// What a run of events leads to; nothing of it counts before its commit.
    private struct Effects {
        var roster: CallRoster
        let now: UnixMilliseconds
        var changes: [RosterChange] = []
        /// Events that change who may do what, in their order.
        var news: [(room: RoomID, event: CallEvent)] = []
        /// Texts that may be commands.
        var messages: [RoomMessage] = []
        var leavers: [RoomMember] = []
        /// Who came and went in the same run of events.
        var attendance: [RoomID: [UserID: Bool]] = [:]
        var removed: Set<FocusParticipant> = []
        /// Rooms whose power levels changed.
        var levelChanges: Set<RoomID> = []
        /// Rooms that were closed.
        var replaced: Set<RoomID> = []
        /// Rooms that the bot left.
        var forgotten: Set<RoomID> = []
        var hasErrands = false
        var refusedErrands: [RoomErrand.Kind] = []

        init(roster: CallRoster, now: UnixMilliseconds) {
            self.roster = roster
            self.now = now
        }

        mutating func apply(_ decoded: CallEvent, of event: RoomEvent, in connection: SQLiteConnection) throws {
            if case .roomMember(let member) = decoded, member.membership == .leave || member.membership == .ban {
                leavers.append(member)
                for call in roster.members(in: member.roomID) where call.membership.sender == member.user {
                    removed.insert(FocusParticipant(call.membership))
                }
            }
            if case .roomMember(let member) = decoded {
                attendance[member.roomID, default: [:]][member.user] = member.membership == .join
            }
            switch decoded {
            case .creation, .powerLevels: levelChanges.insert(event.roomID)
            case .tombstone: replaced.insert(event.roomID)
            default: break
            }
            try store(roster.apply(decoded, of: event, at: now), in: connection)
        }

        mutating func store(_ consequences: [RosterChange], in connection: SQLiteConnection) throws {
            for change in consequences {
                try RosterTable.store(change, in: connection)
            }
            changes += consequences
        }
    }

    private nonisolated func follow(
        _ decision: BotMembershipPolicy.Decision?, _ room: RoomID, _ effects: inout Effects,
        _ connection: SQLiteConnection,
    ) throws {
        switch decision {
        case nil: return
        case .errand(let kind):
            if try RoomErrandTable.store(kind, room: room, in: connection) {
                effects.hasErrands = true
            } else {
                effects.refusedErrands.append(kind)
            }
        case .forgetRoom:
            try RoomErrandTable.remove(room: room, in: connection)
            effects.forgotten.insert(room)
            try effects.store(effects.roster.forget(room), in: connection)
        }
    }

    /// Makes the effects of a commit true outside the database and the roster.
    private func committed(_ effects: Effects) async {
        if effects.hasErrands { errands.wake() }
        for kind in effects.refusedErrands {
            refusedErrands.count(kind)
        }
        for (room, event) in effects.news {
            facts.take(event, in: room)
            switch event {
            case .notification(let notification): board.take(notification, at: effects.now)
            case .decline(let decline): board.take(decline)
            default: break
            }
            if case .roomMember(let member) = event, member.user == membershipPolicy.bot, member.membership == .join {
                arrivals.insert(room)
            }
        }
        for message in effects.messages { desk?.take(message) }
        let calls = effects.news.compactMap { if case .legacy(let event) = $0.event { event } else { nil } }
        if !calls.isEmpty { legacyCalls?.take(calls) }
        for member in effects.leavers { legacyCalls?.left(member.user, member.roomID) }
        for member in effects.leavers { await enforcement.removeUser(member.user, from: member.roomID) }
        await perform(effects.changes, removing: effects.removed)
        for room in effects.levelChanges.subtracting(effects.replaced) { await enforcement.adjustRights(in: room) }
        for room in effects.replaced {
            let announced = roster.members(in: room).map { FocusParticipant($0.membership) }
            await enforcement.endCalls(of: room, announced: Set(announced), because: .roomReplaced)
        }
        for room in effects.forgotten {
            facts.forget(room)
            arrivals.remove(room)
        }
    }

    /// Carries out what follows from committed changes.
    private func perform(_ changes: [RosterChange], removing leavers: Set<FocusParticipant>) async {
        var redacted: Set<FocusParticipant> = []
        for change in changes {
            switch change {
            case .refused(let refusal):
                refusals.count(refusal)
            case .callStarted(let id):
                logger.info("A call started", metadata: ["matrix.room_id": "\(id.roomID)"])
            case .callEnded(let id):
                logger.info("A call ended", metadata: ["matrix.room_id": "\(id.roomID)"])
            case .memberLeft(let member, let cause):
                if cause == .redacted { redacted.insert(FocusParticipant(member.membership)) }
                board.left(member.membership.sender, in: member.membership.roomID)
            case .memberJoined(let member):
                board.joined(member.membership.sender, in: member.membership.roomID)
            case .memberUpdated, .entryStored, .entryRemoved, .slotStored, .slotRemoved:
                continue
            }
        }
        await enforcement.remove(leavers, because: .userLeftRoom)
        await enforcement.remove(redacted.subtracting(leavers), because: .membershipRedacted)
    }

    private static func events(
        of body: JSONValue, countingIn refusals: Tally<EventRefusal>,
    ) -> [RoomEvent] {
        (body["events"]?.array ?? []).compactMap { event in
            switch RoomEvent.decode(event) {
            case .success(let event):
                return event
            case .failure(let refusal):
                refusals.count(refusal)
                return nil
            }
        }
    }
}

extension FocusParticipant {
    /// The participant a membership announces.
    init(_ membership: RTCMembership) {
        self.init(
            room: LiveKitNames.room(membership.roomID, slot: membership.slotID.description),
            identity: LiveKitNames.text(of: membership.liveKitIdentity))
    }
}
