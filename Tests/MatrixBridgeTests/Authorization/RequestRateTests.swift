// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import MatrixBridge
import Testing

@Suite("Token buckets")
struct RequestRateTests {
    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    @Test("a burst, then one for each period, names apart")
    func spending() {
        var rate = RequestRate(burst: 2, perSecond: 0.5, maximumNames: 8)
        #expect(rate.spend("a", at: Self.time(0)) == nil)
        #expect(rate.spend("a", at: Self.time(0)) == nil)
        #expect(rate.spend("a", at: Self.time(0)) == 2_000)
        #expect(rate.spend("b", at: Self.time(0)) == nil)
        #expect(rate.spend("a", at: Self.time(1_000)) == 1_000)
        #expect(rate.spend("a", at: Self.time(2_000)) == nil)
        #expect(rate.spend("a", at: Self.time(2_000)) != nil)
    }

    @Test("the table never grows beyond its limit, and full buckets make room")
    func bounded() {
        var rate = RequestRate(burst: 1, perSecond: 1, maximumNames: 4)
        for name in ["a", "b", "c", "d"] { #expect(rate.spend(name, at: Self.time(0)) == nil) }
        #expect(rate.spend("e", at: Self.time(500)) != nil)
        #expect(rate.nameCount == 4)
        #expect(rate.spend("e", at: Self.time(1_600)) == nil)
        #expect(rate.nameCount == 1)
    }
}
