// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Sender clock, RFC 3550 §6.4.1")
struct SenderClockTests {
    static let ntp: UInt64 = 0xE000_0000_4000_0000

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    static func clock(rtp: UInt32 = 1000) -> SenderClock {
        var clock = SenderClock(clockRate: 90_000)
        clock.senderReportReceived(ntp: ntp, rtpTimestamp: rtp, at: time(5000))
        return clock
    }

    @Test("nothing is known before the first report, nor from a sender without a clock")
    func unknown() {
        var clock = SenderClock(clockRate: 48_000)
        clock.senderReportReceived(ntp: 0, rtpTimestamp: 5, at: .zero)
        #expect(clock.timestamps(at: .zero) == nil)
        #expect(clock.ntp(forRTPTimestamp: 1) == nil)
        #expect(clock.rtpTimestamp(forNTP: 1) == nil)
    }

    @Test("half a second later, seen from either side")
    func forward() throws {
        let clock = Self.clock()
        let later = try #require(clock.timestamps(at: Self.time(5500)))
        #expect(later.ntp == Self.ntp + 0x8000_0000)
        #expect(later.rtpTimestamp == 46_000)
        #expect(clock.ntp(forRTPTimestamp: 46_000) == Self.ntp + 0x8000_0000)
    }

    @Test("earlier than the report, and over the wrap of the timestamp")
    func backward() {
        let clock = Self.clock()
        #expect(clock.rtpTimestamp(forNTP: Self.ntp - 0x8000_0000) == 1000 &- 45_000)
        #expect(clock.ntp(forRTPTimestamp: 1000 &- 45_000) == Self.ntp - 0x8000_0000)
        #expect(Self.clock(rtp: .max).timestamps(at: Self.time(6000))?.rtpTimestamp == 89_999)
    }

    @Test("the newest report counts")
    func newest() {
        var clock = Self.clock()
        clock.senderReportReceived(ntp: Self.ntp + 7, rtpTimestamp: 7, at: Self.time(6000))
        #expect(clock.timestamps(at: Self.time(6000))?.rtpTimestamp == 7)
    }

    @Test("no value traps", arguments: [0, 1, 8000, 90_000, .max] as [UInt32])
    func hostile(clockRate: UInt32) {
        var random = SeededGenerator(seed: UInt64(clockRate))
        var clock = SenderClock(clockRate: clockRate)
        for _ in 0..<2000 {
            clock.senderReportReceived(
                ntp: random.next(), rtpTimestamp: random.next(), at: MonotonicTime(nanoseconds: random.next()))
            _ = clock.timestamps(at: MonotonicTime(nanoseconds: random.next()))
            _ = clock.ntp(forRTPTimestamp: random.next())
            _ = clock.rtpTimestamp(forNTP: random.next())
        }
    }
}
