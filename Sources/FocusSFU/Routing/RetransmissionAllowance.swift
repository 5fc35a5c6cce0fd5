// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How often one sent packet may be sent again. Kept beside the packet in its cache.
///
/// Three times at most, and not before the last copy had time to arrive: a request on its way when the copy left is
/// about the same loss.
package struct RetransmissionAllowance: Equatable, Sendable {
    package static let resendLimit: UInt8 = 3
    package static let leastIntervalMilliseconds: UInt64 = 100

    private var lastResend = MonotonicTime.zero
    private var resends: UInt8 = 0

    package init() {}

    /// True when the packet may be sent again now; counts it as sent.
    package mutating func take(at now: MonotonicTime, roundTripMilliseconds: UInt64) -> Bool {
        guard resends < Self.resendLimit else { return false }
        let interval = max(roundTripMilliseconds, Self.leastIntervalMilliseconds)
        guard resends == 0 || now.milliseconds(since: lastResend) >= interval else { return false }
        resends += 1
        lastResend = now
        return true
    }
}
