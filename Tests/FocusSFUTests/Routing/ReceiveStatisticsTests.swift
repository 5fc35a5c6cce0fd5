// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Receive statistics, RFC 3550 appendices A.1, A.3 and A.8")
struct ReceiveStatisticsTests {
    var statistics = ReceiveStatistics(clockRate: 90_000)

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    mutating func receive(_ sequences: some Sequence<Int>) {
        for sequence in sequences {
            statistics.received(sequence: UInt16(truncatingIfNeeded: sequence), timestamp: 0, at: .zero)
        }
    }

    mutating func report(ssrc: UInt32 = 1, at now: MonotonicTime = .zero) -> ReportBlock? {
        statistics.makeReportBlock(ssrc: ssrc, at: now)
    }

    @Test("nothing received, nothing reported")
    mutating func empty() {
        #expect(report() == nil)
    }

    @Test("loss: the fraction since the last report, the sum since the start")
    mutating func loss() throws {
        receive(0..<8)
        var block = try #require(report(ssrc: 7))
        #expect(block.ssrc == 7 && block.fractionLost == 0 && block.cumulativeLost == 0 && block.highestSequence == 7)
        receive([8, 9, 12, 15])
        block = try #require(report(ssrc: 7))
        #expect(block.fractionLost == 128 && block.cumulativeLost == 4 && block.highestSequence == 15)
        block = try #require(report(ssrc: 7))
        #expect(block.fractionLost == 0 && block.cumulativeLost == 4)
    }

    @Test("cycles are counted over the wrap, and reordering across it is no new cycle")
    mutating func wrap() throws {
        receive([65533, 65534, 0, 65535, 1])
        let block = try #require(report())
        #expect(block.highestSequence == 0x1_0001 && block.cumulativeLost == 0)
    }

    @Test("duplicates make the loss negative, never the fraction")
    mutating func duplicates() throws {
        receive([5, 5, 5, 6])
        let block = try #require(report())
        #expect(block.cumulativeLost == -2 && block.fractionLost == 0)
    }

    @Test("one wild number is ignored, two in a row start over")
    mutating func restart() throws {
        receive([100, 101, 40000, 102])
        #expect(report()?.highestSequence == 102)
        receive([40000, 40001, 40002])
        let block = try #require(report())
        #expect(block.highestSequence == 40002 && block.cumulativeLost == 0)
    }

    @Test("jitter: zero for an even stream, a sixteenth of each deviation, whatever the wraps")
    mutating func jitter() {
        var timestamp = UInt32.max - 4000
        for index in 0..<10 {
            statistics.received(sequence: UInt16(index), timestamp: timestamp, at: Self.time(UInt64(index) * 20))
            timestamp &+= 1800
        }
        #expect(statistics.jitter == 0)
        // 16 ms late: 1440 steps of 90 kHz, of which a sixteenth counts.
        statistics.received(sequence: 10, timestamp: timestamp, at: Self.time(216))
        #expect(statistics.jitter == 90)
    }

    @Test("the middle of the last sender report and the delay since come back")
    mutating func senderReport() throws {
        receive([1])
        statistics.senderReportReceived(ntp: 0x1111_2222_3333_4444, at: Self.time(1000))
        let block = try #require(report(at: Self.time(2500)))
        #expect(block.lastSenderReport == 0x2222_3333)
        #expect(block.delaySinceLastSenderReport == 0x0001_8000)
    }

    @Test("no sequence, timestamp or time traps", arguments: 0..<4 as Range<UInt64>)
    mutating func hostile(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5000 {
            statistics.received(
                sequence: random.next(), timestamp: random.next(), at: MonotonicTime(nanoseconds: random.next()))
            if Bool.random(using: &random) {
                statistics.senderReportReceived(ntp: random.next(), at: MonotonicTime(nanoseconds: random.next()))
            }
            _ = statistics.makeReportBlock(ssrc: 1, at: MonotonicTime(nanoseconds: random.next()))
        }
    }
}
