// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Percentiles")
struct DistributionTests {
    private static func distribution(_ samples: some Sequence<UInt64>) -> Distribution {
        var distribution = Distribution()
        for sample in samples { distribution.add(microseconds: sample) }
        return distribution
    }

    @Test("nearest rank, whatever the order of the samples")
    func nearestRank() {
        #expect(
            Self.distribution([40, 15, 50, 20, 35]).percentiles([0.05, 0.3, 0.4, 0.5, 1]) == [15, 20, 20, 35, 50])
        #expect(Self.distribution((1...1_000).reversed()).percentiles([0.5, 0.95, 0.99]) == [500, 950, 990])
        #expect(Self.distribution([7]).percentiles([0, 0.5, 0.99]) == [7, 7, 7])
    }

    @Test("no samples, no percentiles")
    func empty() {
        #expect(Distribution().percentiles([0.5]).isEmpty)
        #expect(Distribution().maximum == 0)
    }

    @Test("the largest is kept exactly")
    func maximum() {
        let distribution = Self.distribution([1, 5_000_000_000, 2])
        #expect(distribution.maximum == 5_000_000_000)
        #expect(distribution.count == 3)
    }

    @Test("of more samples than memory allows, an even selection is kept")
    func thinning() {
        let count = UInt64(Distribution.limit) * 3
        let distribution = Self.distribution(0..<count)
        #expect(distribution.count == count)
        let percentiles = distribution.percentiles([0.25, 0.5, 0.99])
        for (found, share) in zip(percentiles, [0.25, 0.5, 0.99]) {
            #expect(abs(Double(found) - share * Double(count)) < Double(count) / 1_000)
        }
    }
}
