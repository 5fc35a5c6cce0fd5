// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How many offers a peer may still make in a running call: five at once, then one a second. Each costs a description
/// to read, one to write, and an event.
struct OfferAllowance: Sendable {
    static let burst: Int64 = 5
    static let interval: Milliseconds = 1_000

    /// When the allowance is whole again.
    private var wholeAt: UnixMilliseconds = 0

    /// - Returns: false when there is none left.
    mutating func spend(at now: UnixMilliseconds) -> Bool {
        let next = EventTime.sum(max(wholeAt, now), Self.interval)
        guard next <= EventTime.sum(now, Self.burst * Self.interval) else { return false }
        wholeAt = next
        return true
    }
}
