// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("The line of an echo: which packets go back, and under which numbers")
struct EchoLineTests {
    static func header(ssrc: UInt32 = 1, sequence: UInt16, timestamp: UInt32) throws -> RTPHeader {
        func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            withUnsafeBytes(of: value.bigEndian) { Array($0) }
        }
        let packet = [0x80, 111] + bytes(sequence) + bytes(timestamp) + bytes(ssrc) + [0x78]
        return try packet.withUnsafeBytes { bytes throws(RTPError) in try RTPHeader(reading: bytes) }
    }

    /// Opus frames of somebody who speaks, and of discontinuous transmission.
    static let (speech, silence) = (80, 3)

    /// A line and a clock.
    struct Bed {
        var line = EchoLine(firstSequence: 65_535, firstTimestamp: 1_000)
        let start = MonotonicTime(nanoseconds: 1_000_000_000)

        mutating func take(
            _ ssrc: UInt32 = 1, _ sequence: UInt16, _ timestamp: UInt32, size: Int = speech,
            at milliseconds: UInt64 = 0,
        ) throws -> EchoLine.Place? {
            line.take(
                try header(ssrc: ssrc, sequence: sequence, timestamp: timestamp), frameByteCount: size,
                at: start.advanced(byMilliseconds: milliseconds))
        }
    }

    @Test("numbers have no gaps, timestamps have the voice's steps, late packets and empty ones go no further")
    func oneVoice() throws {
        var bed = Bed()
        #expect(try bed.take(1, 65_534, 5_000) == .init(sequence: 65_535, timestamp: 1_000, marker: true))
        #expect(try bed.take(1, 65_535, 5_960) == .init(sequence: 0, timestamp: 1_960, marker: false))
        #expect(try bed.take(1, 2, 7_880) == .init(sequence: 1, timestamp: 3_880, marker: false), "one was lost")
        #expect(try bed.take(1, 1, 6_920) == nil)
        #expect(try bed.take(1, 2, 7_880) == nil)
        #expect(try bed.take(1, 3, 8_840, size: 0) == nil)
        #expect(try bed.take(1, 3, 8_840)?.sequence == 2)
        #expect(bed.line.passedOver == 3)
    }

    @Test("another voice waits until the first was silent for half a second, then time has gone on")
    func twoVoices() throws {
        var bed = Bed()
        _ = try bed.take(1, 10, 0)
        #expect(try bed.take(2, 500, 777, at: 499) == nil)
        #expect(try bed.take(2, 500, 777, at: 500) == .init(sequence: 0, timestamp: 25_000, marker: true))
        #expect(try bed.take(1, 11, 960, at: 510) == nil)
    }

    @Test("who is unmuted and silent lets go of the line, and does not take it", arguments: [silence, speech])
    func discontinuousTransmission(size: Int) throws {
        var bed = Bed()
        _ = try bed.take(1, 1, 0)
        for number: UInt64 in 1...5 {
            let (sequence, timestamp) = (UInt16(number + 1), UInt32(number) * 19_200)
            let refresh = try bed.take(1, sequence, timestamp, size: size, at: number * 400)
            #expect(refresh != nil, "while nobody else speaks it goes back")
        }
        #expect(try bed.take(2, 1, 0, size: Self.silence, at: 2_010) == nil)
        #expect(try bed.take(2, 2, 960, at: 2_030)?.marker == true)
        #expect(try bed.take(1, 7, 115_200, size: size, at: 2_400) == nil)
    }

    @Test("who speaks on and on has ten seconds while others speak")
    func longestTurn() throws {
        var bed = Bed()
        for number: UInt64 in 0..<499 {
            #expect(try bed.take(1, UInt16(number), UInt32(number) * 960, at: number * 20) != nil)
            #expect(try bed.take(2, UInt16(number), UInt32(number) * 960, at: number * 20) == nil)
        }
        #expect(try bed.take(1, 500, 480_000, at: 10_000) != nil)
        #expect(try bed.take(2, 500, 480_000, at: 10_000)?.marker == true)
        #expect(try bed.take(1, 501, 480_960, at: 10_020) == nil)
    }

    @Test("timestamps that jump move ours neither back nor far ahead of the clock, and silence nobody")
    func jumps() throws {
        var bed = Bed()
        var last = try #require(try bed.take(1, 1, 5_000)).timestamp
        #expect(try bed.take(1, 2, 5_000 &- (1 << 30), at: 20) == nil)
        #expect(try bed.take(1, 3, 5_000, at: 20) == nil)
        for number: UInt64 in 1...2_000 {
            let timestamp = UInt32(truncatingIfNeeded: number * 0x7FFF_FFFF)
            guard let place = try bed.take(1, UInt16(number + 3), timestamp, at: 20 + number) else { continue }
            #expect(Int32(bitPattern: place.timestamp &- last) > 0)
            last = place.timestamp
        }
        #expect(last &- 1_000 <= (2_020 + 1_000) * 48)
        // An honest voice goes on in the same sealed stream.
        let honest = try #require(try bed.take(2, 1, 0, at: 3_000))
        #expect(Int32(bitPattern: honest.timestamp &- last) > 0)
        #expect(try bed.take(2, 2, 960, at: 3_020)?.timestamp == honest.timestamp &+ 960)
    }
}
