// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How often one sent packet may be sent again. Kept for the packets that were asked for.
///
/// Three times at most, and not before the last copy had time to arrive: a request on its way when the copy left is
/// about the same loss.
package struct RetransmissionAllowance: Equatable, Sendable {
    package static let resendLimit: UInt32 = 3
    package static let leastIntervalMilliseconds: UInt64 = 100

    /// Times sent again in the upper 8 bits, when last in the lower 24, milliseconds of a clock that wraps after hours:
    /// a stream has a table of these.
    private var packed: UInt32 = 0

    package init() {}

    /// True when the packet may be sent again now; counts it as sent.
    package mutating func take(at now: MonotonicTime, roundTripMilliseconds: UInt64) -> Bool {
        let resends = packed >> 24
        guard resends < Self.resendLimit else { return false }
        let interval = max(roundTripMilliseconds, Self.leastIntervalMilliseconds)
        let time = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) & 0xFF_FFFF
        let elapsed = (time &- packed) & 0xFF_FFFF
        guard resends == 0 || elapsed >= interval else { return false }
        packed = (resends + 1) << 24 | time
        return true
    }
}
