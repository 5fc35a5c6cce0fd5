// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When to try again: exponential back-off with half jitter and a cap; what the server asks for wins.
package struct RetryPolicy: Equatable, Sendable {
    package var firstDelayMilliseconds: UInt64
    package var factor: Double
    package var maximumDelayMilliseconds: UInt64

    package init(firstDelayMilliseconds: UInt64, factor: Double, maximumDelayMilliseconds: UInt64) {
        self.firstDelayMilliseconds = firstDelayMilliseconds
        self.factor = factor
        self.maximumDelayMilliseconds = maximumDelayMilliseconds
    }

    /// For a homeserver that is down: quick at first, once a minute in the end.
    package static let homeserver = RetryPolicy(
        firstDelayMilliseconds: 1_000, factor: 1.5, maximumDelayMilliseconds: 60_000)

    /// Milliseconds to wait before the next try.
    ///
    /// - Parameters:
    ///   - failures: Consecutive failures so far, at least 1.
    ///   - requested: What the server asked for (`Retry-After`, `retry_after_ms`); bounded by ten times the cap so
    ///     that a hostile or broken answer cannot stop us for good.
    ///   - random: In `0..<1`; the delay lies between half of the full step and the full step.
    package func delayMilliseconds(failures: Int, requested: UInt64? = nil, random: Double) -> UInt64 {
        if let requested {
            return min(requested, maximumDelayMilliseconds.multipliedReportingOverflow(by: 10).partialValue)
        }
        var step = Double(firstDelayMilliseconds)
        for _ in 1..<max(1, min(failures, 64)) where step < Double(maximumDelayMilliseconds) {
            step *= factor
        }
        step = min(step, Double(maximumDelayMilliseconds))
        return UInt64(step * (0.5 + 0.5 * min(max(random, 0), 1)))
    }
}
