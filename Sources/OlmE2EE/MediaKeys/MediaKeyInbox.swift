// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The media keys that others send us: which of them counts, and for whose frames. The receiving side of a call with a
/// key per participant (MSC4143).
///
/// A key and the membership of its sender come on different ways; what comes first waits for the other. Of two keys
/// with one index the one that was received later counts, whatever its sender says of the time. Who sent a key is what
/// its Olm session proved.
///
/// No clock of its own: times are milliseconds from any origin. Bounded in members, in keys that wait and in the time
/// they do.
package struct MediaKeyInbox<Device: Hashable & Sendable>: Sendable {
    /// Somebody whose frames we may want to open.
    package struct Member: Equatable, Sendable {
        package let device: Device
        /// What keys must name; nil when a device has one membership, whatever its keys call it.
        package let memberID: String?
        /// Who its tracks belong to.
        package let identity: String

        package init(device: Device, memberID: String?, identity: String) {
            self.device = device
            self.memberID = memberID
            self.identity = identity
        }

        fileprivate func answers(to memberID: String) -> Bool {
            self.memberID == nil || self.memberID == memberID
        }
    }

    package enum Action: Sendable {
        /// Open frames of this participant with that key.
        case install(NumberedMediaKey, identity: String)
        /// Open none any more.
        case forget(identity: String)
        /// A key that waited had to make room for this one.
        case displaced
    }

    /// Why a key has no effect.
    package enum Refusal: String, Error, CaseIterable, Sendable {
        /// One with the same index was received later.
        case outdated
    }

    private struct Entry {
        var member: Member
        /// When the key of each index was received.
        var receivedAt: [UInt8: UInt64] = [:]
    }

    private struct Waiting {
        var device: Device
        var memberID: String
        var key: NumberedMediaKey
        var receivedAt: UInt64
        var isStranger: Bool
    }

    package static var maximumMembers: Int { 1_000 }
    package static var maximumWaiting: Int { 512 }
    package static var maximumWaitingOfDevice: Int { 4 }
    /// Of those that are not known to be in the room.
    package static var maximumWaitingOfStrangers: Int { 64 }
    /// How long a key waits for a membership.
    package static var waitMilliseconds: UInt64 { 60_000 }

    private var members: [Device: [Entry]] = [:]
    private var waiting: [Waiting] = []
    /// Members that were one too many, each time they were named.
    package private(set) var refusedMembers = 0

    package init() {}

    package var waitingCount: Int { waiting.count }

    /// When ``expire(at:)`` has something to do next.
    package var deadline: UInt64? {
        waiting.map(\.receivedAt).min().map { $0 + Self.waitMilliseconds }
    }

    /// Those who take part now; keys that waited for one of them are theirs.
    package mutating func update(members present: [Member], at now: UInt64) -> [Action] {
        expire(at: now)
        var next: [Device: [Entry]] = [:]
        var newcomers: [Member] = []
        for member in present.prefix(Self.maximumMembers) {
            if let known = members[member.device]?.first(where: { $0.member == member }) {
                next[member.device, default: []].append(known)
            } else {
                next[member.device, default: []].append(Entry(member: member))
                newcomers.append(member)
            }
        }
        refusedMembers += max(0, present.count - Self.maximumMembers)
        let stay = Set(next.values.joined().map(\.member.identity))
        let gone = Set(members.values.joined().map(\.member.identity)).subtracting(stay)
        members = next
        return gone.sorted().map { .forget(identity: $0) } + newcomers.flatMap { keysThatWaited(for: $0) }
    }

    /// A key that came from `device`.
    ///
    /// - Parameters:
    ///   - memberID: what the message calls its sender.
    ///   - time: when the message was received; another may have been handled before it.
    ///   - isStranger: whether the sender is not known to be in the room. It may be so soon; its keys wait, but never
    ///     in the way of those of others.
    package mutating func receive(
        _ key: NumberedMediaKey, from device: Device, memberID: String, receivedAt time: UInt64,
        isStranger: Bool = false,
    ) throws(Refusal) -> [Action] {
        guard let position = members[device]?.firstIndex(where: { $0.member.answers(to: memberID) }) else {
            let new = Waiting(
                device: device, memberID: memberID, key: key, receivedAt: time, isStranger: isStranger)
            return try keep(new) ? [.displaced] : []
        }
        return try install(key, at: position, of: device, receivedAt: time)
    }

    /// Forgets keys that waited too long.
    package mutating func expire(at now: UInt64) {
        waiting.removeAll { $0.receivedAt + Self.waitMilliseconds <= now }
    }

    private mutating func install(
        _ key: NumberedMediaKey, at position: Int, of device: Device, receivedAt time: UInt64,
    ) throws(Refusal) -> [Action] {
        guard let entry = members[device]?[position], time >= entry.receivedAt[key.index] ?? 0 else { throw .outdated }
        members[device]?[position].receivedAt[key.index] = time
        return [.install(key, identity: entry.member.identity)]
    }

    /// - Returns: whether another device's key had to go.
    private mutating func keep(_ new: Waiting) throws(Refusal) -> Bool {
        expire(at: new.receivedAt)
        let isSame = { (old: Waiting) in
            old.device == new.device && old.memberID == new.memberID && old.key.index == new.key.index
        }
        if let position = waiting.firstIndex(where: isSame) {
            guard new.receivedAt >= waiting[position].receivedAt else { throw .outdated }
            waiting[position] = new
            return false
        }
        let ofDevice = waiting.indices.filter { waiting[$0].device == new.device }
        if ofDevice.count >= Self.maximumWaitingOfDevice, let oldest = oldest(of: ofDevice) {
            // A device's later keys are worth more than its earlier ones.
            waiting.remove(at: oldest)
        }
        let strangers = waiting.indices.filter { waiting[$0].isStranger }
        var inTheWay: Int?
        if new.isStranger, strangers.count >= Self.maximumWaitingOfStrangers {
            inTheWay = oldest(of: strangers)
        } else if waiting.count >= Self.maximumWaiting {
            inTheWay = oldest(of: strangers.isEmpty ? Array(waiting.indices) : strangers)
        }
        if let inTheWay { waiting.remove(at: inTheWay) }
        waiting.append(new)
        return inTheWay != nil
    }

    private func oldest(of positions: [Int]) -> Int? {
        positions.min { waiting[$0].receivedAt < waiting[$1].receivedAt }
    }

    private mutating func keysThatWaited(for member: Member) -> [Action] {
        let isOfMember = { (old: Waiting) in old.device == member.device && member.answers(to: old.memberID) }
        let keys = waiting.filter(isOfMember).sorted { $0.receivedAt < $1.receivedAt }
        waiting.removeAll(where: isOfMember)
        guard let position = members[member.device]?.firstIndex(where: { $0.member == member }) else { return [] }
        return keys.flatMap { key in
            (try? install(key.key, at: position, of: member.device, receivedAt: key.receivedAt)) ?? []
        }
    }
}
