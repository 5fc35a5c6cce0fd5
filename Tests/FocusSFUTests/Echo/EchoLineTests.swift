// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("The line of an echo: which packets go back, and under which numbers")
struct EchoLineTests {
    static func header(ssrc: UInt32 = 1, sequence: UInt16, timestamp: UInt32, payload: [UInt8] = [0x78]) throws
        -> RTPHeader
    {
        func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            withUnsafeBytes(of: value.bigEndian) { Array($0) }
        }
        let packet = [0x80, 111] + bytes(sequence) + bytes(timestamp) + bytes(ssrc) + payload
        return try packet.withUnsafeBytes { bytes throws(RTPError) in try RTPHeader(reading: bytes) }
    }

    let start = MonotonicTime(nanoseconds: 1_000_000_000)

    func line() -> EchoLine { EchoLine(firstSequence: 65_535, firstTimestamp: 1_000) }

    @Test("numbers have no gaps, timestamps have the voice's steps, late packets and empty ones go no further")
    func oneVoice() throws {
        var line = line()
        func take(_ sequence: UInt16, _ timestamp: UInt32, _ payload: [UInt8] = [1]) throws -> EchoLine.Place? {
            line.take(try Self.header(sequence: sequence, timestamp: timestamp, payload: payload), at: start)
        }
        #expect(try take(65_534, 5_000) == .init(sequence: 65_535, timestamp: 1_000, marker: true))
        #expect(try take(65_535, 5_960) == .init(sequence: 0, timestamp: 1_960, marker: false))
        #expect(try take(2, 7_880) == .init(sequence: 1, timestamp: 3_880, marker: false), "one was lost on the way")
        #expect(try take(1, 6_920) == nil)
        #expect(try take(2, 7_880) == nil)
        #expect(try take(3, 8_840, []) == nil)
        #expect(try take(3, 8_840)?.sequence == 2)
        #expect(line.passedOver == 3)
    }

    @Test("another voice waits until the first was silent for half a second, then time has gone on")
    func twoVoices() throws {
        var line = line()
        _ = line.take(try Self.header(ssrc: 1, sequence: 10, timestamp: 0), at: start)
        let other = try Self.header(ssrc: 2, sequence: 500, timestamp: 777)
        #expect(line.take(other, at: start.advanced(byMilliseconds: 499)) == nil)
        #expect(
            line.take(other, at: start.advanced(byMilliseconds: 500))
                == .init(sequence: 0, timestamp: 25_000, marker: true))
        let late = try Self.header(ssrc: 1, sequence: 11, timestamp: 960)
        #expect(line.take(late, at: start.advanced(byMilliseconds: 510)) == nil)
    }
}
