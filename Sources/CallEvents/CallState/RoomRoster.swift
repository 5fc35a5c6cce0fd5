// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The calls of one room: the entries that are known and, derived from them, the members that count.
///
/// A member counts while its entry lives, its user is in the room and, for ``RTCMembership/Generation/sticky``, its
/// slot is open. A state entry yields to a sticky one of the same user and device in the same call; of two state
/// entries of one device the later expiry counts.
struct RoomRoster: Sendable {
    private(set) var entries: [RosterEntry.Key: RosterEntry] = [:]
    private var keysBySender: [UserID: Set<RosterEntry.Key>] = [:]
    private var members: [UserID: [RosterMember.ID: RosterMember]] = [:]
    private var memberCounts: [RosterCallID: Int] = [:]
    private(set) var slots: [SlotID: RTCSlot] = [:]

    var isEmpty: Bool { entries.isEmpty && slots.isEmpty }
    var callIDs: [RosterCallID] { Array(memberCounts.keys) }

    func entryCount(of sender: UserID) -> Int { keysBySender[sender]?.count ?? 0 }

    func members(of call: RosterCallID) -> [RosterMember] {
        members.values.flatMap { $0.values.filter { $0.id.call == call } }
    }

    // MARK: Inputs

    mutating func store(_ entry: RosterEntry, cause: DepartureCause) -> [RosterChange] {
        var affected: [UserID] = [entry.sender]
        if let old = entries.updateValue(entry, forKey: entry.id.key), old.sender != entry.sender {
            unlink(old)
            affected.append(old.sender)
        }
        keysBySender[entry.sender, default: []].insert(entry.id.key)
        return [.entryStored(entry)] + refresh(affected, cause: cause)
    }

    mutating func remove(_ keys: [RosterEntry.Key], cause: DepartureCause) -> [RosterChange] {
        var changes: [RosterChange] = []
        var affected: [UserID] = []
        for key in keys {
            guard let entry = entries.removeValue(forKey: key) else { continue }
            unlink(entry)
            affected.append(entry.sender)
            changes.append(.entryRemoved(entry.id))
        }
        changes += refresh(affected, cause: cause)
        return changes
    }

    mutating func userLeft(_ user: UserID) -> [RosterChange] {
        remove(Array(keysBySender[user] ?? []), cause: .senderLeftRoom)
    }

    mutating func slotChanged(_ slot: RTCSlot) -> [RosterChange] {
        guard slots[slot.slotID] != slot else { return [] }
        slots[slot.slotID] = slot
        return [.slotStored(slot)] + refresh(Array(keysBySender.keys), cause: .slotClosed)
    }

    mutating func slotRemoved(_ slotID: SlotID) -> [RosterChange] {
        guard let slot = slots.removeValue(forKey: slotID) else { return [] }
        return [.slotRemoved(roomID: slot.roomID, slotID: slotID)]
            + refresh(Array(keysBySender.keys), cause: .slotClosed)
    }

    // MARK: Who counts

    private mutating func unlink(_ entry: RosterEntry) {
        keysBySender[entry.sender]?.remove(entry.id.key)
        if keysBySender[entry.sender]?.isEmpty == true { keysBySender[entry.sender] = nil }
    }

    /// Derives the members of some users anew and tells what changed: departures first, so that a call whose members
    /// all changed is seen to go on.
    private mutating func refresh(_ users: [UserID], cause: DepartureCause) -> [RosterChange] {
        var left: [RosterMember] = []
        var joined: [RosterMember] = []
        var updated: [RosterMember] = []
        for user in Set(users).sorted() {
            let before = members[user] ?? [:]
            let after = countingMembers(of: user)
            members[user] = after.isEmpty ? nil : after
            left += before.values.filter { after[$0.id] == nil }
            joined += after.values.filter { before[$0.id] == nil }
            updated += after.values.filter { before[$0.id].map { [member = $0] in member != $0 } ?? false }
        }
        return changes(left: left, joined: joined, updated: updated, cause: cause)
    }

    private mutating func changes(
        left: [RosterMember],
        joined: [RosterMember],
        updated: [RosterMember],
        cause: DepartureCause,
    ) -> [RosterChange] {
        let touched = Set((left + joined).map(\.id.call))
        let running = touched.filter { memberCounts[$0] != nil }
        for member in left { memberCounts[member.id.call, default: 0] -= 1 }
        for member in joined { memberCounts[member.id.call, default: 0] += 1 }
        for call in touched where memberCounts[call] == 0 { memberCounts[call] = nil }
        // One user's state entry may have yielded to its sticky one: that is no leave of the person.
        let rejoined = Set(joined.map { [$0.membership.sender.rawValue, $0.membership.deviceID?.rawValue] })
        var changes: [RosterChange] = Self.ordered(left).map { member in
            let identity = [member.membership.sender.rawValue, member.membership.deviceID?.rawValue]
            return .memberLeft(member, rejoined.contains(identity) ? .replaced : cause)
        }
        let started = touched.filter { !running.contains($0) && memberCounts[$0] != nil }
        changes += Self.ordered(started).map { .callStarted($0) }
        changes += Self.ordered(joined).map { .memberJoined($0) }
        changes += Self.ordered(updated).map { .memberUpdated($0) }
        let ended = running.filter { memberCounts[$0] == nil }
        changes += Self.ordered(ended).map { .callEnded($0) }
        return changes
    }

    private func countingMembers(of user: UserID) -> [RosterMember.ID: RosterMember] {
        var counting: [RosterMember.ID: RosterMember] = [:]
        var stateMembers: [RosterMember] = []
        for key in keysBySender[user] ?? [] {
            guard let entry = entries[key], let membership = entry.membership else { continue }
            let member = RosterMember(membership: membership, joinedAt: entry.joinedAt, expiresAt: entry.expiresAt)
            switch membership.generation {
            case .sessionState:
                stateMembers.append(member)
            case .sticky where slots[membership.slotID]?.isOpen != true:
                continue
            case .sticky, .stickyDraft:
                Self.insert(member, into: &counting)
            }
        }
        let stickyMembers = Array(counting.values)
        for member in stateMembers {
            let yields = stickyMembers.contains {
                $0.id.call == member.id.call && $0.membership.deviceID == member.membership.deviceID
            }
            if !yields { Self.insert(member, into: &counting) }
        }
        return counting
    }

    private static func insert(_ member: RosterMember, into members: inout [RosterMember.ID: RosterMember]) {
        if let other = members[member.id],
            (other.expiresAt, other.membership.eventID) > (member.expiresAt, member.membership.eventID)
        {
            return
        }
        members[member.id] = member
    }

    private static func ordered(_ members: [RosterMember]) -> [RosterMember] {
        members.sorted { $0.membership.eventID < $1.membership.eventID }
    }

    private static func ordered(_ calls: Set<RosterCallID>) -> [RosterCallID] {
        calls.sorted { $0.slotID.name < $1.slotID.name }
    }
}
