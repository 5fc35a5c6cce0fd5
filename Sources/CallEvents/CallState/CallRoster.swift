// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who takes part in which MatrixRTC call, derived from room events.
///
/// A pure machine: events and the time go in, changes come out. It keeps no clock; call ``expire(at:)`` when
/// ``nextExpiry`` has come. Feed it every event of a transaction in order, with ``CallEvent/other`` costing nothing.
///
///     event ──▶ entries (one per state key or sticky key) ──▶ members that count ──▶ calls
///                    │ stored, removed                             │ joined, left       │ started, ended
///
/// Rules: a state event replaces whatever stood under its key, usable or not; of sticky events with one key the later
/// expiry wins, then the larger event id (MSC4354); a user who leaves the room leaves its calls; a redacted membership
/// is gone. The roster relies on the homeserver for authorisation, redactions included.
package struct CallRoster: Sendable {
    /// How much the roster may hold. Beyond it an event is refused with a reason that can be counted.
    package struct Limits: Equatable, Sendable {
        package var rooms = 10_000
        package var memberships = 100_000
        package var membershipsInRoom = 5_000
        package var membershipsOfUserInRoom = 256
        package var slotsInRoom = 64

        package init() {}
    }

    private let limits: Limits
    private var rooms: [RoomID: RoomRoster] = [:]
    private var entryCount = 0
    private var queue = ExpiryQueue()
    private var departed = DepartedUsers()

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Rebuilds a roster from stored rows. Rows that have expired meanwhile are still in it: ``expire(at:)`` removes
    /// them and says so.
    package init(restoring entries: [RosterEntry], slots: [RTCSlot], limits: Limits = Limits()) {
        self.init(limits: limits)
        for slot in slots { _ = apply(slot) }
        for entry in entries { _ = store(entry, cause: .replaced) }
    }

    // MARK: Reading

    /// When ``expire(at:)`` has something to do; nil while nothing can expire.
    package var nextExpiry: UnixMilliseconds? { queue.first?.expiresAt }

    /// Every running call.
    package var calls: [RosterCall] {
        rooms.keys.sorted().flatMap { calls(in: $0) }
    }

    /// The running calls of a room, usually at most one.
    package func calls(in roomID: RoomID) -> [RosterCall] {
        guard let room = rooms[roomID] else { return [] }
        return room.callIDs.sorted { $0.slotID.name < $1.slotID.name }
            .compactMap { RosterCall(id: $0, members: room.members(of: $0)) }
    }

    /// One call; nil when nobody takes part.
    package func call(_ id: RosterCallID) -> RosterCall? {
        RosterCall(id: id, members: rooms[id.roomID]?.members(of: id) ?? [])
    }

    /// The members of all calls of a room, oldest first within each call.
    package func members(in roomID: RoomID) -> [RosterMember] {
        calls(in: roomID).flatMap(\.members)
    }

    /// Every membership that is remembered, whether it counts or not.
    package func entries(where isWanted: (RosterEntry) -> Bool) -> [RosterEntry] {
        rooms.values.flatMap { $0.entries.values.filter(isWanted) }
    }

    /// Whether a slot is known, and how it stands.
    package func slot(_ slotID: SlotID, in roomID: RoomID) -> RTCSlot? {
        rooms[roomID]?.slots[slotID]
    }

    /// Rooms and entries held now, for gauges.
    package var size: (rooms: Int, memberships: Int) { (rooms.count, entryCount) }

    // MARK: Inputs

    /// Takes one room event, received at `now`.
    package mutating func apply(_ event: RoomEvent, at now: UnixMilliseconds) -> [RosterChange] {
        apply(CallEvent.decode(event), of: event, at: now)
    }

    /// The same for an event already decoded.
    package mutating func apply(
        _ decoded: CallEvent,
        of event: RoomEvent,
        at now: UnixMilliseconds,
    ) -> [RosterChange] {
        let changes: [RosterChange] =
            switch decoded {
            case .membership(.joined(let membership)): joined(membership, event, at: now)
            case .membership(.left(let reason)): left(reason, event, at: now)
            case .slot(let slot): apply(slot)
            case .roomMember(let member): apply(member)
            case .redaction(let target): redacted(target, in: event.roomID)
            case .refused(let refusal): refused(refusal, event)
            case .notification, .decline, .legacy, .creation, .powerLevels, .tombstone, .encryption, .joinRule,
                .message, .other:
                []
            }
        tidy(event.roomID)
        return changes
    }

    /// Removes every membership whose time has come.
    package mutating func expire(at now: UnixMilliseconds) -> [RosterChange] {
        var due: [RoomID: [RosterEntry.Key]] = [:]
        while let first = queue.first, first.expiresAt <= now {
            queue.removeFirst()
            if isLive(first) { due[first.id.roomID, default: []].append(first.id.key) }
        }
        var changes: [RosterChange] = []
        for roomID in due.keys.sorted() {
            changes += remove(due[roomID] ?? [], in: roomID, cause: .expired)
            tidy(roomID)
        }
        return changes
    }

    /// Drops a room we no longer see.
    package mutating func forget(_ roomID: RoomID) -> [RosterChange] {
        guard let room = rooms[roomID] else { return [] }
        var changes = remove(Array(room.entries.keys), in: roomID, cause: .roomForgotten)
        for slotID in room.slots.keys {
            changes += rooms[roomID]?.slotRemoved(slotID) ?? []
        }
        tidy(roomID)
        return changes
    }

    // MARK: Memberships

    private mutating func joined(
        _ membership: RTCMembership,
        _ event: RoomEvent,
        at now: UnixMilliseconds,
    ) -> [RosterChange] {
        let key: RosterEntry.Key
        switch self.key(of: event) {
        case .failure(let refusal): return [.refused(refusal)]
        case .success(let found): key = found
        }
        let known = rooms[event.roomID]?.entries[key]
        if known?.eventID == event.eventID { return [] }
        let entry = RosterEntry(
            id: RosterEntry.ID(roomID: event.roomID, key: key),
            sender: event.sender,
            eventID: event.eventID,
            joinedAt: joinTime(of: membership, after: known),
            expiresAt: membership.expiry.deadline(receivedAt: now),
            membership: membership,
        )
        guard !departed.contains(event.sender, in: event.roomID) else { return refused(.senderNotJoined, event) }
        guard entry.expiresAt > now else { return refused(.expired, event) }
        return replace(known, by: entry, cause: .replaced)
    }

    private mutating func left(
        _ reason: LeaveReason,
        _ event: RoomEvent,
        at now: UnixMilliseconds,
    ) -> [RosterChange] {
        switch key(of: event) {
        case .failure(let refusal):
            return [.refused(refusal)]
        case .success(.state(let stateKey)):
            return remove([.state(stateKey)], in: event.roomID, cause: .left(reason))
        case .success(let key):
            // A leave of somebody unknown is nothing to remember: an older join, should one come, expires by itself.
            guard let known = rooms[event.roomID]?.entries[key], known.eventID != event.eventID else { return [] }
            let expiry = MembershipExpiry.sticky(
                sentAt: event.originServerTimestamp, duration: event.stickyDuration ?? 0)
            let entry = RosterEntry(
                id: known.id,
                sender: event.sender,
                eventID: event.eventID,
                joinedAt: known.joinedAt,
                expiresAt: expiry.deadline(receivedAt: now),
                membership: nil,
            )
            guard entry.expiresAt > now else { return [.refused(.expired)] }
            return replace(known, by: entry, cause: .left(reason))
        }
    }

    /// State events repeat when the member joined, sticky ones do not: there the first event of the key tells.
    private func joinTime(of membership: RTCMembership, after known: RosterEntry?) -> UnixMilliseconds {
        switch membership.generation {
        case .sessionState: membership.createdAt
        case .stickyDraft, .sticky:
            known?.membership == nil ? membership.createdAt : known?.joinedAt ?? membership.createdAt
        }
    }

    private mutating func replace(
        _ known: RosterEntry?,
        by entry: RosterEntry,
        cause: DepartureCause,
    ) -> [RosterChange] {
        switch entry.id.key {
        case .state: break
        case .sticky:
            if let known, !entry.supersedes(known) { return [.refused(.superseded)] }
        }
        if let refusal = refusalForSpace(entry, replacing: known) {
            // The state under the key has changed even if there is no room for what it became.
            guard known != nil else { return [.refused(refusal)] }
            return [.refused(refusal)] + remove([entry.id.key], in: entry.id.roomID, cause: .replaced)
        }
        return store(entry, cause: cause)
    }

    private func refusalForSpace(_ entry: RosterEntry, replacing known: RosterEntry?) -> EventRefusal? {
        guard let room = rooms[entry.id.roomID] else {
            if rooms.count >= limits.rooms { return .tooManyRooms }
            return entryCount >= limits.memberships ? .tooManyMemberships : nil
        }
        if known?.sender != entry.sender, room.entryCount(of: entry.sender) >= limits.membershipsOfUserInRoom {
            return .tooManyMembershipsOfUser
        }
        guard known == nil else { return nil }
        if room.entries.count >= limits.membershipsInRoom { return .tooManyMembershipsInRoom }
        return entryCount >= limits.memberships ? .tooManyMemberships : nil
    }

    /// An unusable event still takes the place of the one it replaces, if it is a state event.
    private mutating func refused(_ refusal: EventRefusal, _ event: RoomEvent) -> [RosterChange] {
        guard let stateKey = event.stateKey else { return [.refused(refusal)] }
        if event.type == SessionStateMembership.eventType {
            return [.refused(refusal)] + remove([.state(stateKey)], in: event.roomID, cause: .replaced)
        }
        if RTCSlot.eventTypes.contains(event.type), let slotID = SlotID(stateKey) {
            return [.refused(refusal)] + (rooms[event.roomID]?.slotRemoved(slotID) ?? [])
        }
        return [.refused(refusal)]
    }

    private func key(of event: RoomEvent) -> Result<RosterEntry.Key, EventRefusal> {
        if let stateKey = event.stateKey { return .success(.state(stateKey)) }
        do throws(EventRefusal) {
            let key = try StickyMembership.stickyKey(of: event)
            return .success(.sticky(sender: event.sender, type: event.type, key: key))
        } catch {
            return .failure(error)
        }
    }

    // MARK: Slots, room members, redactions

    private mutating func apply(_ slot: RTCSlot) -> [RosterChange] {
        guard slot.isOpen else { return rooms[slot.roomID]?.slotRemoved(slot.slotID) ?? [] }
        if let room = rooms[slot.roomID] {
            guard room.slots[slot.slotID] != nil || room.slots.count < limits.slotsInRoom else {
                return [.refused(.tooManySlots)]
            }
        } else if rooms.count >= limits.rooms {
            return [.refused(.tooManyRooms)]
        }
        return rooms[slot.roomID, default: RoomRoster()].slotChanged(slot)
    }

    private mutating func apply(_ member: RoomMember) -> [RosterChange] {
        switch member.membership {
        case .join:
            departed.remove(member.user, in: member.roomID)
            return []
        case .leave, .ban:
            guard let before = rooms[member.roomID]?.entries.count else { return [] }
            departed.insert(member.user, in: member.roomID)
            let changes = rooms[member.roomID]?.userLeft(member.user) ?? []
            entryCount -= before - (rooms[member.roomID]?.entries.count ?? 0)
            return changes
        case .invite, .knock:
            return []
        }
    }

    /// - Complexity: linear in the entries of the room.
    private mutating func redacted(_ target: EventID, in roomID: RoomID) -> [RosterChange] {
        guard let entry = rooms[roomID]?.entries.values.first(where: { $0.eventID == target }) else { return [] }
        return remove([entry.id.key], in: roomID, cause: .redacted)
    }

    // MARK: Bookkeeping

    private mutating func store(_ entry: RosterEntry, cause: DepartureCause) -> [RosterChange] {
        let roomID = entry.id.roomID
        if rooms[roomID]?.entries[entry.id.key] == nil { entryCount += 1 }
        queue.insert(ExpiryQueue.Element(expiresAt: entry.expiresAt, id: entry.id))
        return rooms[roomID, default: RoomRoster()].store(entry, cause: cause)
    }

    private mutating func remove(
        _ keys: [RosterEntry.Key],
        in roomID: RoomID,
        cause: DepartureCause,
    ) -> [RosterChange] {
        guard let before = rooms[roomID]?.entries.count else { return [] }
        let changes = rooms[roomID]?.remove(keys, cause: cause) ?? []
        entryCount -= before - (rooms[roomID]?.entries.count ?? 0)
        return changes
    }

    private func isLive(_ element: ExpiryQueue.Element) -> Bool {
        rooms[element.id.roomID]?.entries[element.id.key]?.expiresAt == element.expiresAt
    }

    /// Forgets an empty room and keeps the front of the queue live and its length in proportion.
    private mutating func tidy(_ roomID: RoomID) {
        if rooms[roomID]?.isEmpty == true { rooms[roomID] = nil }
        while let first = queue.first, !isLive(first) { queue.removeFirst() }
        guard queue.count > 2 * entryCount + 64 else { return }
        queue = ExpiryQueue()
        for room in rooms.values {
            for entry in room.entries.values {
                queue.insert(ExpiryQueue.Element(expiresAt: entry.expiresAt, id: entry.id))
            }
        }
    }
}
