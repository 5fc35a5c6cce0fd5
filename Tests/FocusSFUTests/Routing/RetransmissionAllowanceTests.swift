// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Retransmission allowance")
struct RetransmissionAllowanceTests {
    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    @Test("three times, at least 100 ms apart")
    func limit() {
        var allowance = RetransmissionAllowance()
        let sent = [5, 50, 104, 105, 204, 205, 1000, 5000].filter {
            allowance.take(at: Self.time($0), roundTripMilliseconds: 20)
        }
        #expect(sent == [5, 105, 205])
    }

    @Test("a longer round trip keeps copies further apart")
    func roundTrip() {
        var allowance = RetransmissionAllowance()
        let sent = [0, 299, 300].filter { allowance.take(at: Self.time($0), roundTripMilliseconds: 300) }
        #expect(sent == [0, 300])
    }
}
