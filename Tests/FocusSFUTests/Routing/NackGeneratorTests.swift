// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("NACK generation, RFC 4585 §6.2.1")
struct NackGeneratorTests {
    var generator = NackGenerator()

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    @discardableResult
    mutating func receive(_ sequences: UInt16..., at milliseconds: UInt64 = 0) -> NackGenerator.Arrival? {
        var last: NackGenerator.Arrival?
        for sequence in sequences { last = generator.received(sequence, at: Self.time(milliseconds)) }
        return last
    }

    mutating func requests(at milliseconds: UInt64, roundTrip: UInt64 = 70, room: Int = 100) -> [UInt16] {
        var buffer = [UInt16](repeating: 0, count: room)
        let count = buffer.withUnsafeMutableBufferPointer {
            generator.nextRequests(at: Self.time(milliseconds), roundTripMilliseconds: roundTrip, into: $0)
        }
        return Array(buffer[..<count])
    }

    mutating func wantsKeyFrame() -> Bool {
        generator.takeKeyFrameWish()
    }

    @Test("nothing is asked for while nothing is missing")
    mutating func inOrder() {
        receive(65534, 65535, 0, 1)
        #expect(generator.missingCount == 0)
        #expect(generator.nextDeadline == nil)
        #expect(requests(at: 1000).isEmpty)
    }

    @Test("a gap is asked for after 20 ms, across the wrap")
    mutating func gap() {
        receive(65533)
        #expect(receive(2) == .advanced)
        #expect(generator.nextDeadline == Self.time(20))
        #expect(requests(at: 19).isEmpty)
        #expect(requests(at: 20) == [65534, 65535, 0, 1])
        #expect(requests(at: 20).isEmpty)
    }

    @Test("a retransmission stream brings what is awaited, and moves nothing")
    mutating func retransmitted() {
        receive(10, 13)
        var found: [UInt16] = []
        for sequence: UInt16 in [12, 12, 13, 14, 500, 3000, 3001, 60_000] where generator.recovered(sequence) {
            found.append(sequence)
        }
        #expect(found == [12])
        #expect(generator.missingCount == 1)
        #expect(receive(14) == .advanced)
        #expect(generator.missingCount == 1)
    }

    @Test("a packet that was only overtaken is not asked for")
    mutating func reordered() {
        receive(10, 12)
        #expect(receive(11, at: 10) == .recovered)
        #expect(receive(11, at: 11) == .stale)
        #expect(receive(12, at: 12) == .stale)
        #expect(requests(at: 100).isEmpty)
    }

    @Test("intervals start at the round trip and grow by a quarter, five times in all")
    mutating func intervals() {
        receive(1, 3)
        var asked: [UInt64] = []
        for millisecond in 0..<2000 as Range<UInt64> where requests(at: millisecond, roundTrip: 100) == [2] {
            asked.append(millisecond)
        }
        #expect(asked == [20, 120, 245, 401, 596])
        #expect(generator.missingCount == 0)
        #expect(receive(2, at: 2000) == .stale)
        #expect(!wantsKeyFrame())
    }

    @Test(
        "intervals stay within 20 and 400 ms",
        arguments: [(0, [20, 40, 65]), (5_000_000_000, [20, 420, 820])] as [(UInt64, [UInt64])])
    mutating func bounds(roundTrip: UInt64, expected: [UInt64]) {
        receive(1, 3)
        var asked: [UInt64] = []
        for millisecond in 0..<1000 as Range<UInt64> where requests(at: millisecond, roundTrip: roundTrip) == [2] {
            asked.append(millisecond)
        }
        #expect(Array(asked.prefix(3)) == expected)
    }

    @Test("what does not fit the buffer stays due")
    mutating func smallBuffer() {
        receive(1, 6)
        #expect(requests(at: 20, room: 0).isEmpty)
        #expect(requests(at: 20, room: 3) == [2, 3, 4])
        #expect(requests(at: 20, room: 3) == [5])
    }

    @Test("at most 100 packets are awaited, the newest; the rest needs a key frame, told once")
    mutating func queueLimit() {
        receive(1, 500)
        #expect(generator.missingCount == 100)
        #expect(requests(at: 20) == Array(400..<500))
        #expect(wantsKeyFrame())
        #expect(!wantsKeyFrame())
        receive(502, at: 30)
        #expect(generator.missingCount == 100)
        #expect(wantsKeyFrame())
        receive(501, at: 30)
        #expect(generator.missingCount == 99)
    }

    @Test("a gap of more than 1000 is a restart")
    mutating func restartAhead() {
        receive(1, 3)
        #expect(receive(1003) == .advanced)
        #expect(receive(2004) == .restarted)
        #expect(generator.missingCount == 0)
        #expect(wantsKeyFrame())
        #expect(receive(2005) == .advanced)
    }

    @Test("one packet from far behind is stale, two in a row are a restart")
    mutating func restartBehind() {
        receive(30000, 30002)
        #expect(receive(100) == .stale)
        #expect(receive(30003) == .advanced)
        #expect(receive(101) == .stale)
        #expect(receive(102) == .restarted)
        #expect(receive(103) == .advanced)
        #expect(generator.missingCount == 0)
    }

    @Test("hostile numbers keep the queue bounded", arguments: 0..<8 as Range<UInt64>)
    mutating func hostile(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var now: UInt64 = 0
        for _ in 0..<3000 {
            now += UInt64.random(in: 0..<30, using: &random)
            receive(.random(in: 0...(seed < 4 ? 2000 : .max), using: &random), at: now)
            _ = requests(at: now, room: 20)
            #expect(generator.missingCount <= NackGenerator.queueLimit)
        }
    }
}
