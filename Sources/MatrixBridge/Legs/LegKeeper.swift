// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
import Logging
import OlmE2EE

/// Keeps the echo legs: in which rooms they are wanted, that they are there, and that nothing of them stays.
///
///     command ──▶ stored ──▶ membership (LegMembership) and media (EchoParticipant) ──▶ here
///     told, alone for a minute, time over, sent away ──▶ leave ──▶ forgotten
///
/// A wish and what is known of its membership are stored before each step, so that after a crash the leg goes on in the
/// same membership, and one that was about to leave is cleared.
package actor LegKeeper {
    /// Legs at once; each has a thread.
    static let maximumCount = 16
    static let aloneMilliseconds: UInt64 = 60_000
    private static let checkMilliseconds: UInt64 = 500
    private static let strayCheckMilliseconds: UInt64 = 10_000
    private static let longestStrayPause: UInt64 = 3_600_000
    private static let shutDownMilliseconds: UInt64 = 3_000
    private static let rememberedEndings = 256

    let dependencies: Dependencies
    let user: UserID
    /// What a leg is in a call without encryption; in others it is the bot's encrypted device.
    let clearDevice: DeviceID
    private let serviceURL: String
    /// Milliseconds; 0 where no leg is wanted.
    private let limit: Int64
    var legs: [RoomID: EchoLeg] = [:]
    private var lastNumber: UInt64 = 0
    /// How the last leg of a room ended.
    private var endings: [RoomID: EchoLeg.Ending] = [:]
    private var nextStrayCheck = MonotonicTime.zero
    private var strays: Set<RoomID> = []
    /// How often in a row a stray of a room was cleared, and when it may be again: the homeserver may refuse it.
    private var strayTries: [RoomID: (count: UInt64, notBefore: MonotonicTime)] = [:]
    package nonisolated let events = Tally<Event>()
    package nonisolated let notices = Tally<LegMembership.Notice>()

    private var clock: ServiceClock { dependencies.clock }

    /// - Parameters:
    ///   - user: The bot.
    ///   - serviceURL: What clients are told of this focus.
    ///   - limitMilliseconds: The longest that a leg stays; 0 for no legs at all.
    package init(
        _ dependencies: Dependencies, user: UserID, clearDevice: DeviceID, serviceURL: String,
        limitMilliseconds: Int64,
    ) {
        self.dependencies = dependencies
        self.user = user
        self.clearDevice = clearDevice
        self.serviceURL = serviceURL
        self.limit = limitMilliseconds
    }

    // MARK: Wishes

    /// Wants an echo in the call of a room; durable when this returns.
    package func begin(in room: RoomID) async throws(Refusal) {
        guard limit > 0 else { throw Refusal(sentence: "echoes are switched off: matrix.echo_limit is 0") }
        guard let facts = dependencies.facts.facts(of: room), facts.joined.contains(user) else {
            throw Refusal(sentence: "I am not in that room; invite me there first")
        }
        let device = facts.isEncrypted ? await dependencies.keys.device()?.device : clearDevice
        guard let device else {
            throw Refusal(
                sentence: "that room is encrypted, and I have no encrypted device to be in its call with; `status` "
                    + "says why")
        }
        do throws(TokenExchangeRefusal) {
            let policy = dependencies.policy.inRoom(
                room, aliases: try await dependencies.aliases?.names(of: room) ?? [])
            try policy.admit(user)
            try policy.admit(user, generation: .sessionState, facts: facts)
        } catch {
            throw Refusal(sentence: error.matrixError.message)
        }
        let action = RoomAuthority.Action.sendState(SessionStateMembership.eventType)
        guard facts.authority.mayDo(action, user) else {
            throw Refusal(
                sentence: "announcing myself in a call needs power level "
                    + "\(facts.authority.levelNeeded(for: action)) in that room; I have "
                    + "\(facts.authority.level(of: user))")
        }
        if let known = legs[room] {
            throw Refusal(
                sentence: known.ending == nil
                    ? "my echo is in that call already" : "my echo is just leaving that call; try again in a moment")
        }
        guard legs.count < Self.maximumCount else {
            throw Refusal(sentence: "\(Self.maximumCount) echoes are in calls already; send one of them away first")
        }
        let version = facts.authority.creation?.version ?? "1"
        let leg = make(
            room, version: version, device: device, startedAt: clock.unixMilliseconds(), membership: LegMembership())
        legs[room] = leg
        endings[room] = nil
        guard await store(leg) else {
            // It may have begun to join.
            await end(room, .media("the wish could not be stored; see the log"))
            throw Refusal(sentence: "the wish could not be stored; see the log")
        }
        events.count(.begun)
    }

    /// Sends the echo of a room away.
    ///
    /// - Returns: false when there is none.
    package func end(in room: RoomID) async -> Bool {
        guard legs[room]?.ending == nil, legs[room] != nil else { return false }
        await end(room, .told)
        return true
    }

    package func standing(in room: RoomID) -> Standing {
        guard let leg = legs[room] else {
            if case .leaveRefused(let reason) = endings[room] { return .stuck(reason) }
            return endings[room].map { .ended($0.sentence) } ?? .none
        }
        if leg.ending != nil { return .leaving }
        return leg.isHere ? .here(echoed: leg.media?.progress.echoed ?? 0) : .joining
    }

    /// Rooms with an echo, and since when.
    package var rooms: [(room: RoomID, startedAt: UnixMilliseconds)] {
        legs.values.map { ($0.announcement.room, $0.startedAt) }.sorted { $0.0 < $1.0 }
    }

    // MARK: Life

    /// Goes on with the stored legs, and clears those whose time is over.
    package func restore() async throws {
        let now = clock.unixMilliseconds()
        for row in try await dependencies.database.read({ try LegTable.load(from: $0) }) {
            let isReplaced = await isReplaced(row.device)
            let isOver = !row.isWanted || now - row.startedAt >= limit || isReplaced
            // The keys of the others were lost with the last process; they give them to who joins anew.
            var leg = make(
                row.room, version: row.roomVersion, device: row.device, startedAt: row.startedAt,
                membership: LegMembership(
                    resuming: row.record, wantsIn: !isOver, rejoins: row.device != clearDevice && !isOver))
            if isOver { leg.ending = !row.isWanted ? .told : isReplaced ? .replaced : .limit }
            leg.stored = row.record
            legs[row.room] = leg
            events.count(.resumed)
        }
    }

    private func make(
        _ room: RoomID, version: String, device: DeviceID, startedAt: UnixMilliseconds, membership: LegMembership,
    ) -> EchoLeg {
        lastNumber += 1
        let keys =
            device == clearDevice ? nil : dependencies.keys.open(room, as: DeviceAddress(user: user, device: device))
        let announcement = LegAnnouncement(
            room: room, user: user, device: device, roomVersion: version, serviceURL: serviceURL)
        return EchoLeg(
            announcement: announcement,
            participant: FocusParticipant(
                room: LiveKitNames.room(room, slot: LiveKitNames.compatibilitySlot), identity: announcement.memberID),
            startedAt: startedAt, number: lastNumber, membership: membership, stored: membership.record,
            keys: keys)
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            while (try? await clock.sleep(Self.checkMilliseconds)) != nil {
                for job in await check() {
                    group.addTask { await self.perform(job) }
                }
            }
            group.cancelAll()
        }
    }

    func perform(_ job: Job) async {
        switch job {
        case .requests(let room, let number): await sendRequests(room, number)
        case .media(let room, let number): await runMedia(room, number)
        case .keys(let room, let number):
            if let leg = legs[room], leg.number == number { await leg.keys?.run() }
        }
    }

    /// Looks who is there and what is due.
    func check() async -> [Job] {
        await clearStrays()
        var jobs: [Job] = []
        for room in legs.keys.sorted() {
            await observe(room)
            guard let leg = legs[room] else { continue }
            if !leg.isWorking {
                legs[room]?.isWorking = true
                jobs.append(.requests(room, leg.number))
            }
            if leg.ending == nil, leg.keys != nil, !leg.hasKeyJob {
                legs[room]?.hasKeyJob = true
                jobs.append(.keys(room, leg.number))
            }
            // Nobody is heard by somebody whom the call does not show.
            if leg.ending == nil, leg.membership.isIn, !leg.hasMediaJob {
                legs[room]?.hasMediaJob = true
                jobs.append(.media(room, leg.number))
            }
        }
        return jobs
    }

    private func observe(_ room: RoomID) async {
        guard let leg = legs[room], leg.ending == nil else { return }
        // The leg's LiveKit room is that of the room's own call; who is in another one is no company.
        let members = await dependencies.coordinator.members(in: room).filter {
            $0.id.call.slotID.displayed == .roomCall
        }
        let present = await dependencies.focus.presence(inRoom: leg.participant.room)
        guard legs[room]?.number == leg.number else { return }
        let now = clock.monotonic()
        let own = members.first {
            $0.membership.sender == user && $0.membership.deviceID == leg.announcement.device
        }
        if leg.membership.isIn { legs[room]?.hasBeenIn = true }
        limitHiddenSound(room, at: now)
        if let keys = leg.keys {
            if await isReplaced(leg.announcement.device) { return await end(room, .replaced) }
            if leg.hasBeenIn || leg.membership.isIn { await keys.update(members: members) }
            guard legs[room]?.number == leg.number else { return }
        } else if dependencies.facts.facts(of: room)?.isEncrypted == true {
            return await end(room, .media("the room was made an encrypted one; try again"))
        }
        legs[room]?.membership.observe(own?.membership.eventID, at: Self.milliseconds(now))
        let hasOthers =
            members.contains { $0.id != own?.id } || present.keys.contains { $0 != leg.participant.identity }
        let aloneSince = hasOthers ? nil : leg.aloneSince ?? now
        legs[room]?.aloneSince = aloneSince
        if let aloneSince, now.milliseconds(since: aloneSince) >= Self.aloneMilliseconds {
            await end(room, .alone)
        } else if clock.unixMilliseconds() - leg.startedAt >= limit {
            await end(room, .limit)
        }
    }

    func end(_ room: RoomID, _ ending: EchoLeg.Ending) async {
        guard legs[room]?.ending == nil else { return }
        legs[room]?.end(ending)
        if let leg = legs[room] { _ = await store(leg) }
    }

    /// The last words, so that the call does not show us while we are gone.
    package func shutDown() async {
        for room in legs.keys { await end(room, .shutDown) }
        // What the homeserver does not take in time is repeated after the next start.
        await withTaskGroup { [clock] group in
            group.addTask { await self.sendLeaves() }
            group.addTask { _ = try? await clock.sleep(Self.shutDownMilliseconds) }
            await group.next()
            group.cancelAll()
        }
    }

    private func sendLeaves() async {
        let rooms = legs.values.map { ($0.announcement.room, $0.number) }
        await withDiscardingTaskGroup { group in
            for (room, number) in rooms { group.addTask { await self.sendRequests(room, number) } }
        }
    }

    // MARK: Membership

    private func sendRequests(_ room: RoomID, _ number: UInt64) async {
        while legs[room]?.number == number {
            let now = clock.monotonic()
            let request = legs[room]?.membership.nextRequest(
                at: Self.milliseconds(now), unixTime: clock.unixMilliseconds())
            guard let leg = legs[room], let request else { break }
            // Before it is true at the homeserver: after a crash the same membership must be known.
            if leg.membership.record != leg.stored { _ = await store(leg) }
            let answer = await dependencies.homeserver.perform(request, for: leg.announcement)
            guard legs[room]?.number == number else { return }
            legs[room]?.membership.answered(answer, at: Self.milliseconds(clock.monotonic()))
            note(room)
            if let leg = legs[room], leg.membership.outcome == nil, leg.membership.record != leg.stored {
                _ = await store(leg)
            }
        }
        guard legs[room]?.number == number else { return }
        legs[room]?.isWorking = false
        await forgetIfOver(room)
    }

    private func note(_ room: RoomID) {
        for notice in legs[room]?.membership.takeNotices() ?? [] {
            notices.count(notice)
            dependencies.logger.warning(
                "The membership of our leg in a call met something",
                metadata: ["matrix.room_id": "\(room)", "notice": "\(notice.rawValue)"])
        }
    }

    private func forgetIfOver(_ room: RoomID) async {
        guard let outcome = legs[room]?.membership.outcome else { return }
        if case .refused(let reason) = outcome {
            if legs[room]?.ending == nil {
                legs[room]?.end(.refused(reason))
            } else {
                legs[room]?.ending = .leaveRefused(reason)
            }
        }
        guard let leg = legs.removeValue(forKey: room) else { return }
        leg.media?.stop()
        if let keys = leg.keys { dependencies.keys.close(keys) }
        let ending = leg.ending ?? .told
        if endings.count >= Self.rememberedEndings { endings.removeAll() }
        endings[room] = ending
        events.count(ending.event)
        dependencies.logger.info(
            "An echo left a call", metadata: ["matrix.room_id": "\(room)", "reason": "\(ending.sentence)"])
        do {
            try await dependencies.database.transaction { connection in
                try LegTable.remove(room, in: connection)
            }
        } catch {
            storeFailed(error)
        }
        // One that began meanwhile must stay stored.
        if let next = legs[room] { _ = await store(next) }
    }

    /// Memberships of ours in the roster that no leg has, seen twice: of before the database was lost.
    private func clearStrays() async {
        let now = clock.monotonic()
        guard now >= nextStrayCheck else { return }
        nextStrayCheck = now.advanced(byMilliseconds: Self.strayCheckMilliseconds)
        let calls = await dependencies.coordinator.calls
        let found = Set(
            calls.filter { call in
                legs[call.id.roomID] == nil
                    && call.members.contains { $0.membership.sender == user && $0.membership.deviceID != nil }
            }.map(\.id.roomID))
        strayTries = strayTries.filter { found.contains($0.key) || now < $0.value.notBefore }
        for room in found.intersection(strays) where legs[room] == nil {
            let tries = strayTries[room] ?? (0, now)
            guard now >= tries.notBefore else { continue }
            let member = await dependencies.coordinator.members(in: room).first { $0.membership.sender == user }
            guard let device = member?.membership.deviceID, legs[room] == nil else { continue }
            let version = dependencies.facts.facts(of: room)?.authority.creation?.version ?? "1"
            var leg = make(
                room, version: version, device: device, startedAt: clock.unixMilliseconds(),
                membership: LegMembership(wantsIn: false))
            leg.ending = .told
            legs[room] = leg
            let pause = min(Self.strayCheckMilliseconds << min(tries.count, 16), Self.longestStrayPause)
            strayTries[room] = (tries.count + 1, now.advanced(byMilliseconds: pause))
            events.count(.strayCleared)
        }
        strays = found
    }

    private func store(_ leg: EchoLeg) async -> Bool {
        let row = leg.row
        do {
            try await dependencies.database.transaction { try LegTable.store(row, in: $0) }
            if legs[row.room]?.number == leg.number { legs[row.room]?.stored = row.record }
            return true
        } catch {
            storeFailed(error)
            return false
        }
    }

    private func storeFailed(_ error: any Error) {
        events.count(.storeFailed)
        dependencies.logger.error("A leg could not be stored", metadata: ["error.code": "\(error)"])
    }

    private static func milliseconds(_ time: MonotonicTime) -> Milliseconds {
        Milliseconds(clamping: time.nanoseconds / 1_000_000)
    }
}
