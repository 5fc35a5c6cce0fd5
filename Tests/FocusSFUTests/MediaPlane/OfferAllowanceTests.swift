// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Allowance for offers")
struct OfferAllowanceTests {
    private func tick(_ number: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: 20 * number)
    }

    @Test("a tick has 400 sections, and the offer that begins within them is made whole")
    func bound() {
        var allowance = OfferAllowance()
        allowance.tickBegins(at: tick(1))
        var made = 0
        while made < 100, allowance.take(sections: 150, dueAt: tick(1), isFirst: false) { made += 1 }
        #expect(made == 3)
        let isFirstMade = allowance.take(sections: 150, dueAt: tick(1), isFirst: true)
        #expect(isFirstMade, "a newcomer's connection waits for it")
    }

    @Test("whoever was put off is served before those who are due again")
    func order() {
        var allowance = OfferAllowance()
        // Ten in the order in which they are looked at, each due again as soon as it is served.
        var due = [MonotonicTime](repeating: tick(1), count: 10)
        var served = [Int](repeating: 0, count: 10)
        for number in 1...UInt64(20) {
            allowance.tickBegins(at: tick(number))
            for index in due.indices where due[index] <= tick(number) {
                guard allowance.take(sections: 200, dueAt: due[index], isFirst: false) else { continue }
                served[index] += 1
                due[index] = tick(number + 1)
            }
        }
        let (least, most) = (served.min() ?? 0, served.max() ?? 0)
        #expect(least >= 3)
        #expect(most - least <= 2)
    }
}
