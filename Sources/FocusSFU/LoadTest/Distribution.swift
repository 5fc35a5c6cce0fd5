// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Samples of a duration and what can be said of all of them, exact up to ``limit`` samples.
package struct Distribution: Equatable, Sendable {
    /// Samples kept; of more, every second one is forgotten and from then on every second one taken, and so on.
    package static let limit = 1 << 20

    private var samples: [UInt32] = []
    private var stride: UInt64 = 1
    private var seen: UInt64 = 0
    /// Microseconds.
    package private(set) var maximum: UInt64 = 0

    package init() {}

    package var count: UInt64 { seen }

    package mutating func add(microseconds: UInt64) {
        maximum = max(maximum, microseconds)
        defer { seen += 1 }
        guard seen.isMultiple(of: stride) else { return }
        if samples.count == Self.limit {
            samples = Swift.stride(from: 0, to: samples.count, by: 2).map { samples[$0] }
            stride *= 2
            guard seen.isMultiple(of: stride) else { return }
        }
        samples.append(UInt32(clamping: microseconds))
    }

    /// The smallest samples that at least the given shares of all do not exceed (nearest rank), microseconds; none
    /// without samples.
    package func percentiles(_ shares: [Double]) -> [UInt64] {
        guard !samples.isEmpty else { return [] }
        let sorted = samples.sorted()
        return shares.map { share in
            let rank = Int((share * Double(sorted.count)).rounded(.up))
            return UInt64(sorted[min(max(rank, 1), sorted.count) - 1])
        }
    }
}
