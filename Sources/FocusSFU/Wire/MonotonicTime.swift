// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An instant of the monotonic clock, in nanoseconds since an arbitrary start.
///
/// Protocol cores receive it as a value and never read a clock, so tests can make time.
package struct MonotonicTime: Comparable, Hashable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static let zero = MonotonicTime(nanoseconds: 0)

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// Later by a whole number of milliseconds; saturates instead of wrapping.
    package func advanced(byMilliseconds milliseconds: UInt64) -> Self {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, carried) = nanoseconds.addingReportingOverflow(overflow ? .max : product)
        return Self(nanoseconds: carried ? .max : sum)
    }

    /// Nanoseconds since `earlier`; zero when `earlier` lies ahead.
    package func nanoseconds(since earlier: Self) -> UInt64 {
        nanoseconds >= earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    /// Whole milliseconds since `earlier`; zero when `earlier` lies ahead.
    package func milliseconds(since earlier: Self) -> UInt64 {
        nanoseconds(since: earlier) / 1_000_000
    }
}
