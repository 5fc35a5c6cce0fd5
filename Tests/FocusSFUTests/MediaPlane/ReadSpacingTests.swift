// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Spacing of reads")
struct ReadSpacingTests {
    private let start = MonotonicTime(nanoseconds: 5_000_000_000)

    private func milliseconds(_ count: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: start.nanoseconds + UInt64(count * 1_000_000))
    }

    /// After a first window in which so many datagrams came; the last read began 0.1 ms before its end.
    private func spacing(after datagrams: Int) -> ReadSpacing {
        var spacing = ReadSpacing()
        spacing.measure(at: start)
        spacing.read(datagrams, startingAt: milliseconds(199.9))
        spacing.measure(at: milliseconds(200))
        return spacing
    }

    @Test("nothing waits before the first window, nor while few datagrams come")
    func seldom() {
        var fresh = ReadSpacing()
        fresh.read(1_000, startingAt: start)
        #expect(fresh.pause(at: start) == nil)
        #expect(spacing(after: 0).pause(at: milliseconds(200)) == nil)
        #expect(spacing(after: 399).pause(at: milliseconds(200)) == nil)
    }

    @Test("2,000 datagrams a second are read a millisecond apart, from beginning to beginning")
    func often() {
        let spacing = spacing(after: 400)
        #expect(spacing.isSpacing)
        #expect(spacing.pause(at: milliseconds(200)) == 900_000)
        #expect(spacing.pause(at: milliseconds(200.5)) == 400_000)
    }

    @Test("a read that took its millisecond, or nearly, is followed by the next at once")
    func overdue() {
        let spacing = spacing(after: 400)
        #expect(spacing.pause(at: milliseconds(200.85)) == 50_000)
        #expect(spacing.pause(at: milliseconds(200.86)) == nil)
        #expect(spacing.pause(at: milliseconds(600)) == nil)
    }

    @Test("a read that stopped at its limit is followed by the next at once")
    func unfinished() {
        var spacing = spacing(after: 400)
        spacing.read(MediaPlane.readLimit, startingAt: milliseconds(200))
        #expect(spacing.pause(at: milliseconds(200.1)) == nil)
        spacing.read(MediaPlane.readLimit - 1, startingAt: milliseconds(201))
        #expect(spacing.pause(at: milliseconds(201.1)) == 900_000)
    }

    @Test("the more come, the shorter the wait: no more than a batch comes meanwhile")
    func flood() {
        // 100,000 a second, then ten times as many.
        var spacing = spacing(after: 20_000)
        spacing.read(64, startingAt: milliseconds(200))
        #expect(spacing.pause(at: milliseconds(200.1)) == 540_000)
        spacing.read(200_000, startingAt: milliseconds(399))
        spacing.measure(at: milliseconds(400))
        spacing.read(64, startingAt: milliseconds(400))
        #expect(spacing.isSpacing)
        #expect(spacing.pause(at: milliseconds(400.02)) == nil)
    }

    @Test("within a window nothing changes, whatever comes: one picture does not begin it")
    func window() {
        var spacing = spacing(after: 300)
        spacing.read(60, startingAt: milliseconds(219))
        spacing.measure(at: milliseconds(220))
        #expect(!spacing.isSpacing)
        spacing.read(300, startingAt: milliseconds(399))
        spacing.measure(at: milliseconds(400))
        #expect(!spacing.isSpacing)
    }

    @Test("once begun, it goes on down to 1,500 a second")
    func hysteresis() {
        var spacing = spacing(after: 400)
        spacing.read(300, startingAt: milliseconds(399))
        spacing.measure(at: milliseconds(400))
        #expect(spacing.isSpacing)
        spacing.read(299, startingAt: milliseconds(599))
        spacing.measure(at: milliseconds(600))
        #expect(!spacing.isSpacing)
    }

    @Test("a tick that came late counts for as long as it was")
    func lateTick() {
        var spacing = spacing(after: 300)
        spacing.read(799, startingAt: milliseconds(599))
        spacing.measure(at: milliseconds(600))
        #expect(!spacing.isSpacing)
        spacing.read(800, startingAt: milliseconds(999))
        spacing.measure(at: milliseconds(1_000))
        #expect(spacing.isSpacing)
    }
}
