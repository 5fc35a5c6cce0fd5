// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who is given our media key, when it is time for another, and from when we use it: the sending side of a call with a
/// key per participant (MSC4143), with the rules and times of matrix-js-sdk.
///
/// | What happens | What follows |
/// | --- | --- |
/// | we join | a key exists and is used; nobody has it yet |
/// | somebody joins soon after the key was made | the same key, to that device only |
/// | somebody joins later | a new key to all, so that the past stays closed; used after a delay |
/// | somebody leaves | a new key to all who stay, so that the future stays closed; used after a delay |
/// | more of them leave during that delay | one more key when it is over |
/// | a member has another time of joining | it joined: it may have lost its keys |
/// | the key is old | as after a leave, so that no key serves for ever |
///
/// No clock and no randomness of its own: times are milliseconds from any origin and never go back, keys come from the
/// function it is made with. At most ``maximumDevices`` devices are served.
package struct MediaKeyDistribution<Device: Hashable & Sendable>: Sendable {
    package struct Timing: Equatable, Sendable {
        /// Between the sending of a new key and its use, milliseconds.
        package var useDelay: UInt64 = 1_000
        /// The age up to which a key is given to those who join, milliseconds.
        package var joinGrace: UInt64 = 10_000
        /// How long a slow delivery may put off the use of a new key, milliseconds.
        package var deliveryPatience: UInt64 = 5_000
        /// The longest life of a key, milliseconds.
        package var lifetime: UInt64 = 3_600_000
        /// Until a device that was not reached is tried again, milliseconds; doubled each time.
        package var firstRetry: UInt64 = 1_000
        package var longestRetry: UInt64 = 60_000

        package init() {}
    }

    package enum Action: Sendable {
        /// Deliver the key to these devices, and say with ``report(index:missed:of:at:)`` how that went.
        case send(NumberedMediaKey, to: Set<Device>)
        /// Encrypt with this key from now on, and with no earlier one.
        case use(NumberedMediaKey)
    }

    private enum Delivery {
        case underWay
        case done
        case waiting(until: UInt64)
    }

    private struct Member {
        var joinedAt: Int64
        var delivery = Delivery.underWay
        /// Deliveries of the newest key that failed in a row.
        var failures = 0
    }

    private struct Rollout {
        var key: NumberedMediaKey
        var useAt: UInt64
    }

    package static var maximumDevices: Int { 1_000 }

    private let own: Device
    private let timing: Timing
    private let makeKey: @Sendable () -> MediaKey
    private var members: [Device: Member] = [:]
    /// The key to encrypt with.
    package private(set) var current: NumberedMediaKey
    /// The key that was sent and is not used yet.
    private var rollout: Rollout?
    /// When the newest key was made.
    private var newestMadeAt: UInt64
    /// Somebody who has the key of the rollout is gone.
    private var needsRotation = false
    /// Devices that were one too many, each time they were named.
    package private(set) var refusedDevices = 0

    /// We join. The first key has index 0 and can be used at once.
    ///
    /// - Parameters:
    ///   - own: our device, which needs no key from us.
    ///   - makeKey: makes a key of random bytes.
    package init(own: Device, timing: Timing = Timing(), at now: UInt64, makeKey: @escaping @Sendable () -> MediaKey) {
        self.own = own
        self.timing = timing
        self.makeKey = makeKey
        current = NumberedMediaKey(index: 0, key: makeKey())
        newestMadeAt = now
    }

    private var newest: NumberedMediaKey { rollout?.key ?? current }

    /// When ``advance(to:)`` has something to do next.
    package var deadline: UInt64 {
        let retries = members.values.compactMap { member in
            if case .waiting(let until) = member.delivery { until } else { nil }
        }
        let turn = rollout?.useAt ?? newestMadeAt + timing.lifetime
        return retries.reduce(turn, min)
    }

    /// Those who take part now.
    ///
    /// - Parameter present: each device with the time at which it says it joined (`created_ts`); our own may be there.
    package mutating func update(members present: [Device: Int64], at now: UInt64) -> [Action] {
        // Who left is gone before anything is due: what falls due now must not be sent there.
        let left = members.keys.filter { present[$0] == nil }
        for device in left { members[device] = nil }
        let index = newest.index
        var actions = advance(to: now)
        // A key that was made just now closes the past to those who left, too.
        let mustRotate = !left.isEmpty && newest.index == index
        var joined: Set<Device> = []
        for (device, joinedAt) in present where device != own && members[device]?.joinedAt != joinedAt {
            guard members[device] != nil || members.count < Self.maximumDevices else {
                refusedDevices += 1
                continue
            }
            members[device] = Member(joinedAt: joinedAt)
            joined.insert(device)
        }
        let isTooOld = !joined.isEmpty && now - min(now, newestMadeAt) >= timing.joinGrace
        guard mustRotate || isTooOld, rollout == nil else {
            needsRotation = needsRotation || mustRotate || isTooOld
            if !joined.isEmpty { actions.append(.send(newest, to: joined)) }
            return actions
        }
        return actions + rotate(at: now)
    }

    /// How the delivery of a key went.
    ///
    /// - Parameters:
    ///   - missed: of `devices`, those that were not reached; they are tried again.
    package mutating func report(
        index: UInt8, missed: Set<Device>, of devices: Set<Device>, at now: UInt64,
    ) -> [Action] {
        // Nobody needs a key that has been replaced.
        guard index == newest.index else { return advance(to: now) }
        for device in devices {
            guard var member = members[device], case .underWay = member.delivery else { continue }
            if missed.contains(device) {
                let wait = min(timing.firstRetry << UInt64(min(member.failures, 16)), timing.longestRetry)
                member.failures += 1
                member.delivery = .waiting(until: now + wait)
            } else {
                member.failures = 0
                member.delivery = .done
            }
            members[device] = member
        }
        if var rollout, !isUnderWay {
            rollout.useAt = min(rollout.useAt, now + timing.useDelay)
            self.rollout = rollout
        }
        return advance(to: now)
    }

    /// Does what is due.
    package mutating func advance(to now: UInt64) -> [Action] {
        var actions: [Action] = []
        if let rollout, rollout.useAt <= now {
            current = rollout.key
            self.rollout = nil
            actions.append(.use(current))
        }
        if rollout == nil, needsRotation || newestMadeAt + timing.lifetime <= now {
            return actions + rotate(at: now)
        }
        var due: Set<Device> = []
        for (device, member) in members {
            guard case .waiting(let until) = member.delivery, until <= now else { continue }
            members[device]?.delivery = .underWay
            due.insert(device)
        }
        if !due.isEmpty { actions.append(.send(newest, to: due)) }
        return actions
    }

    private var isUnderWay: Bool {
        members.values.contains { member in
            if case .underWay = member.delivery { true } else { false }
        }
    }

    private mutating func rotate(at now: UInt64) -> [Action] {
        let key = NumberedMediaKey(index: newest.index &+ 1, key: makeKey())
        newestMadeAt = now
        needsRotation = false
        // Without anybody who must have it first there is nothing to wait for.
        guard !members.isEmpty else {
            current = key
            return [.use(key)]
        }
        for (device, member) in members { members[device] = Member(joinedAt: member.joinedAt) }
        rollout = Rollout(key: key, useAt: now + timing.deliveryPatience + timing.useDelay)
        return [.send(key, to: Set(members.keys))]
    }
}
