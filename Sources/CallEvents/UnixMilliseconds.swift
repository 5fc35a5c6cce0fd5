// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A point in time as events state it: milliseconds since 1970-01-01 UTC.
package typealias UnixMilliseconds = Int64
/// A length of time as events state it.
package typealias Milliseconds = Int64

/// Arithmetic on times that other people wrote.
enum EventTime {
    /// The largest integer canonical JSON can carry, 2^53 - 1. Two of them can be added without overflow.
    static let maximum: UnixMilliseconds = 9_007_199_254_740_991

    /// `value` as a time or length, or nil when it is no integer of 0...2^53 - 1.
    static func milliseconds(_ value: JSONValue?) -> Int64? {
        guard let integer = value?.integer, (0...maximum).contains(integer) else { return nil }
        return integer
    }

    /// The sum, or the largest value when it does not fit.
    static func sum(_ time: UnixMilliseconds, _ length: Milliseconds) -> UnixMilliseconds {
        let (sum, overflow) = time.addingReportingOverflow(length)
        guard overflow else { return sum }
        return length < 0 ? .min : .max
    }
}
