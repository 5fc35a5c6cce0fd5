// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// Token buckets by name: each name may spend `burst` at once and gets `perSecond` back. Pure: time is passed in.
///
/// The table is bounded. When it is full, names whose bucket is full again are forgotten, which changes nothing for
/// them; if that frees nothing, unknown names are refused until it does.
package struct RequestRate: Sendable {
    private struct Bucket {
        var tokens: Double
        var updated: MonotonicTime
    }

    private let burst: Double
    private let perSecond: Double
    private let maximumNames: Int
    private var buckets: [String: Bucket] = [:]
    private var lastSweep: MonotonicTime?

    /// A sweep looks at every bucket, so a flood of names must not cause one each.
    private static let millisecondsBetweenSweeps: UInt64 = 1_000

    package init(burst: Int, perSecond: Double, maximumNames: Int) {
        self.burst = Double(burst)
        self.perSecond = perSecond
        self.maximumNames = maximumNames
    }

    /// Names with a bucket that is not full.
    package var nameCount: Int { buckets.count }

    /// Takes one token.
    ///
    /// - Returns: nil when there was one, else the milliseconds until there will be.
    package mutating func spend(_ name: String, at now: MonotonicTime) -> UInt64? {
        if buckets[name] == nil, buckets.count >= maximumNames {
            sweep(at: now)
            guard buckets.count < maximumNames else { return Self.millisecondsBetweenSweeps }
        }
        let tokens = buckets[name].map { refilled($0, at: now) } ?? burst
        guard tokens >= 1 else {
            return UInt64(((1 - tokens) / perSecond * 1_000).rounded(.up))
        }
        buckets[name] = Bucket(tokens: tokens - 1, updated: now)
        return nil
    }

    private func refilled(_ bucket: Bucket, at now: MonotonicTime) -> Double {
        min(burst, bucket.tokens + Double(now.nanoseconds(since: bucket.updated)) / 1e9 * perSecond)
    }

    private mutating func sweep(at now: MonotonicTime) {
        if let lastSweep, now.milliseconds(since: lastSweep) < Self.millisecondsBetweenSweeps { return }
        lastSweep = now
        buckets = buckets.filter { refilled($0.value, at: now) < burst }
    }
}
