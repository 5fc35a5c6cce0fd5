// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Allowance for data")
struct DataAllowanceTests {
    private func taken(_ allowance: inout DataAllowance, receivers: Int, at now: MonotonicTime) -> Int {
        var count = 0
        while count < 1_000_000, allowance.take(byteCount: 10, isReliable: true, receivers: receivers, at: now) {
            count += 1
        }
        return count
    }

    @Test("a burst is what two seconds cost: fewer messages for more receivers", arguments: [(1, 16_000), (99, 776)])
    func burst(receivers: Int, messages: Int) {
        var allowance = DataAllowance()
        let count = taken(&allowance, receivers: receivers, at: MonotonicTime(nanoseconds: 5))
        #expect(count == messages)
    }

    @Test("time gives back what it is worth, and never more than a burst")
    func refill() {
        var allowance = DataAllowance()
        var now = MonotonicTime.zero
        let first = taken(&allowance, receivers: 16, at: now)
        #expect(first == 4_000)
        now = now.advanced(byMilliseconds: 10)
        let second = taken(&allowance, receivers: 16, at: now)
        #expect(second == 20)
        now = now.advanced(byMilliseconds: 3_600_000)
        let third = taken(&allowance, receivers: 16, at: now)
        #expect(third == 4_000)
    }

    @Test("what is refused costs nothing")
    func refusal() {
        var allowance = DataAllowance()
        let isTaken = allowance.take(byteCount: 10, isReliable: true, receivers: 100_000, at: .zero)
        #expect(!isTaken)
        let after = taken(&allowance, receivers: 16, at: .zero)
        #expect(after == 4_000)
    }

    @Test("a large reliable message is free; a small one is not, nor one that may be lost")
    func files() {
        var allowance = DataAllowance()
        let chunk = allowance.take(byteCount: 4_096, isReliable: true, receivers: 100_000, at: .zero)
        let small = allowance.take(byteCount: 4_095, isReliable: true, receivers: 100_000, at: .zero)
        let lossy = allowance.take(byteCount: 4_096, isReliable: false, receivers: 100_000, at: .zero)
        #expect(chunk)
        #expect(!small)
        #expect(!lossy)
    }
}
