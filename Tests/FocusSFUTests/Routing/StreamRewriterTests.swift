// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Stream rewriting, RFC 3550 §5.1")
struct StreamRewriterTests {
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private static func rewriter(first: UInt16 = 10, source: Int64 = 0x10000 + 500) -> StreamRewriter {
        var rewriter = StreamRewriter(firstSequence: first, firstTimestamp: 77)
        rewriter.switchSource(to: 0, extended: source, timestamp: 9_000, clockRate: 90_000, at: start)
        return rewriter
    }

    @Test("the first packet gets the first number and timestamp, later ones follow")
    func begin() {
        var rewriter = Self.rewriter()
        #expect(
            rewriter.numbers(extended: 0x10000 + 500, timestamp: 9_000, at: Self.start)
                == .init(index: 10, timestamp: 77))
        #expect(
            rewriter.numbers(extended: 0x10000 + 501, timestamp: 12_000, at: Self.start)
                == .init(index: 11, timestamp: 3_077))
    }

    @Test("source and output wrap around independently")
    func wrapAround() {
        var rewriter = Self.rewriter(first: 65_530, source: 0x10000 + 65_533)
        for step in 0..<20 {
            let numbers = rewriter.numbers(
                extended: Int64(0x10000 + 65_533 + step), timestamp: UInt32.max &- 5 &+ UInt32(step), at: Self.start)
            #expect(numbers?.sequence == 65_530 &+ UInt16(step))
        }
        #expect(rewriter.highestIndex == 65_530 + 19)
    }

    @Test("a late packet keeps its place in the order")
    func late() {
        var rewriter = Self.rewriter()
        _ = rewriter.numbers(extended: 0x10000 + 503, timestamp: 9_000, at: Self.start)
        #expect(rewriter.numbers(extended: 0x10000 + 501, timestamp: 9_000, at: Self.start)?.sequence == 11)
        #expect(rewriter.highestIndex == 13)
    }

    @Test("after a switch numbers go on without a gap and time by what passed", arguments: [UInt64(20), 1_000, 90_000])
    func switchSource(milliseconds: UInt64) throws {
        var rewriter = Self.rewriter()
        _ = rewriter.numbers(extended: 0x10000 + 500, timestamp: 9_000, at: Self.start)
        let later = Self.start.advanced(byMilliseconds: milliseconds)
        rewriter.switchSource(to: 0, extended: 0x10000 + 9, timestamp: 4_000_000_000, clockRate: 90_000, at: later)
        let found = rewriter.numbers(extended: 0x10000 + 9, timestamp: 4_000_000_000, at: later)
        let numbers = try #require(found)
        #expect(numbers.sequence == 11)
        #expect(numbers.timestamp == 77 &+ UInt32(milliseconds) &* 90)
        #expect(rewriter.rewritten(timestamp: 4_000_003_000) == numbers.timestamp &+ 3_000)
    }

    @Test("a switch within the same instant still moves the timestamp on")
    func switchAtOnce() {
        var rewriter = Self.rewriter()
        _ = rewriter.numbers(extended: 0x10000 + 500, timestamp: 9_000, at: Self.start)
        rewriter.switchSource(to: 0, extended: 5, timestamp: 0, clockRate: 90_000, at: Self.start)
        #expect(rewriter.numbers(extended: 5, timestamp: 0, at: Self.start) == .init(index: 11, timestamp: 78))
    }

    @Test("packets from before the switch have no place in the output")
    func beforeSwitch() {
        var rewriter = Self.rewriter()
        #expect(rewriter.numbers(extended: 0x10000 + 499, timestamp: 0, at: Self.start) == nil)
    }

    @Test("an omitted packet leaves no gap, and those late from before it keep their numbers")
    func omission() {
        var rewriter = Self.rewriter()
        _ = rewriter.numbers(extended: 0x10000 + 500, timestamp: 9_000, at: Self.start)
        _ = rewriter.numbers(extended: 0x10000 + 502, timestamp: 9_000, at: Self.start)
        rewriter.omit(extended: 0x10000 + 503)
        #expect(rewriter.numbers(extended: 0x10000 + 504, timestamp: 9_000, at: Self.start)?.sequence == 13)
        #expect(rewriter.numbers(extended: 0x10000 + 501, timestamp: 9_000, at: Self.start)?.sequence == 11)
        #expect(rewriter.numbers(extended: 0x10000 + 505, timestamp: 9_000, at: Self.start)?.sequence == 14)
    }

    @Test("late packets from before several omissions keep their numbers, and what was omitted never gets one")
    func severalOmissions() {
        var rewriter = Self.rewriter()
        let late: Set<Int64> = [501, 505]
        let omitted: Set<Int64> = [503, 504, 507]
        for number in Int64(500)...508 where !late.contains(number) {
            if omitted.contains(number) {
                rewriter.omit(extended: 0x10000 + number)
            } else {
                _ = rewriter.numbers(extended: 0x10000 + number, timestamp: 9_000, at: Self.start)
            }
        }
        let expected: [Int64: Int64?] = [
            499: nil, 500: 10, 501: 11, 502: 12, 503: nil, 504: nil, 505: 13, 506: 14, 507: nil, 508: 15,
        ]
        for (number, index) in expected {
            let numbers = rewriter.numbers(extended: 0x10000 + number, timestamp: 9_000, at: Self.start)
            #expect(numbers?.index == index, "\(number)")
        }
    }

    @Test("each number leads back to its source, over 16 switches and omissions")
    func runs() {
        var rewriter = Self.rewriter()
        var sources: [Int64: (layer: Int8, extended: Int64, timestamp: UInt32)] = [:]
        var extended: Int64 = 0x10000 + 500
        for round in 0..<20 {
            let layer = Int8(round % 3)
            if round % 2 == 0 {
                extended += 1_000
                rewriter.switchSource(
                    to: layer, extended: extended, timestamp: UInt32(round), clockRate: 90_000, at: Self.start)
            } else {
                rewriter.omit(extended: extended)
                extended += 1
            }
            for _ in 0..<3 {
                let numbers = rewriter.numbers(extended: extended, timestamp: 0, at: Self.start)
                sources[numbers?.index ?? -1] = (
                    Int8((round - round % 2) % 3), extended, numbers?.timestamp ?? 0
                )
                extended += 1
            }
        }
        #expect(sources.count == 60)
        let last = rewriter.highestIndex
        for (index, source) in sources {
            let run = rewriter.run(of: index)
            // Three numbers a run: 16 before the current one.
            #expect((run == nil) == (index <= last - 51), "\(index)")
            guard let run else { continue }
            #expect(run.layer == source.layer)
            #expect(index + run.offset == source.extended)
            #expect(0 &- run.timestampOffset == source.timestamp)
        }
        // The last run's source is of layer 0, as every third pair's.
        rewriter.forgetSource(1)
        for (index, source) in sources where index > last - 51 {
            #expect((rewriter.run(of: index) == nil) == (source.layer == 1), "\(index)")
        }
        rewriter.forgetSources()
        #expect(rewriter.run(of: last) == nil)
        #expect(rewriter.run(of: last - 3) == nil)
    }

    @Test("late packets from before more omissions than are kept get no number")
    func tooManyOmissions() {
        var rewriter = Self.rewriter()
        for step in Int64(0)..<40 {
            let extended = 0x10000 + 500 + step
            if step % 2 == 1 {
                rewriter.omit(extended: extended)
            } else if step != 2 {
                _ = rewriter.numbers(extended: extended, timestamp: 9_000, at: Self.start)
            }
        }
        #expect(rewriter.numbers(extended: 0x10000 + 502, timestamp: 9_000, at: Self.start) == nil)
        // 18 before it were left out; 503 was not, because 502 was missing.
        #expect(rewriter.numbers(extended: 0x10000 + 538, timestamp: 9_000, at: Self.start)?.index == 30)
    }

    @Test("an omission out of order is left to be a gap")
    func lateOmission() {
        var rewriter = Self.rewriter()
        _ = rewriter.numbers(extended: 0x10000 + 500, timestamp: 9_000, at: Self.start)
        _ = rewriter.numbers(extended: 0x10000 + 502, timestamp: 9_000, at: Self.start)
        rewriter.omit(extended: 0x10000 + 501)
        rewriter.omit(extended: 0x10000 + 509)
        #expect(rewriter.numbers(extended: 0x10000 + 503, timestamp: 9_000, at: Self.start)?.sequence == 13)
    }

    @Test("whatever is omitted or switched, input in order leaves contiguous", arguments: [UInt64(1), 2, 3, 4, 5])
    func contiguous(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var rewriter = StreamRewriter(firstSequence: 65_000, firstTimestamp: .max - 1_000)
        var now = Self.start
        var extended: Int64 = 0x10000
        var timestamp: UInt32 = 0
        rewriter.switchSource(to: 0, extended: extended, timestamp: timestamp, clockRate: 90_000, at: now)
        var expected: UInt16 = 65_000
        var lastTimestamp: UInt32?
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<100, using: &generator) {
            case 1..<10:
                rewriter.omit(extended: extended)
            case 0:
                extended = Int64.random(in: 0x10000...0x40000, using: &generator)
                timestamp = UInt32.random(in: 0 ... .max, using: &generator)
                rewriter.switchSource(to: 0, extended: extended, timestamp: timestamp, clockRate: 90_000, at: now)
                fallthrough
            default:
                let found = rewriter.numbers(extended: extended, timestamp: timestamp, at: now)
                let numbers = try #require(found)
                try #require(numbers.sequence == expected, "seed \(seed)")
                if let lastTimestamp {
                    try #require(!RTPTimestamp.isNewer(lastTimestamp, than: numbers.timestamp), "seed \(seed)")
                }
                lastTimestamp = numbers.timestamp
                expected &+= 1
            }
            extended += 1
            timestamp &+= 90
            now = now.advanced(byMilliseconds: 1)
        }
    }
}
