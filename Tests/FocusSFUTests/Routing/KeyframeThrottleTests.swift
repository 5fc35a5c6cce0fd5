// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Key frame throttle")
struct KeyframeThrottleTests {
    var throttle = KeyframeThrottle(intervalMilliseconds: 500)

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    mutating func want(at milliseconds: UInt64) -> Bool {
        throttle.keyFrameWanted(at: Self.time(milliseconds))
    }

    mutating func isDue(at milliseconds: UInt64) -> Bool {
        throttle.advance(to: Self.time(milliseconds))
    }

    @Test("the first wish is passed on at once, those within the interval once at its end")
    mutating func held() {
        #expect(throttle.nextDeadline == nil)
        #expect(want(at: 1000))
        #expect(throttle.nextDeadline == nil)
        #expect(!want(at: 1001))
        #expect(!want(at: 1400))
        #expect(throttle.nextDeadline == Self.time(1500))
        #expect(!isDue(at: 1499))
        #expect(isDue(at: 1500))
        #expect(!isDue(at: 9000))
        #expect(want(at: 9000))
    }

    @Test("a key frame answers what was held back")
    mutating func answered() {
        _ = want(at: 0)
        _ = want(at: 10)
        throttle.keyFrameReceived()
        #expect(throttle.nextDeadline == nil)
        #expect(!isDue(at: 600))
    }
}
