// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

/// Transport-wide feedback read back, as a browser reads it.
struct ReadTransportFeedback: Equatable {
    var base: UInt16 = 0
    var feedbackCount: UInt8 = 0
    /// One entry a number from the base on: the tick of arrival, nil when not received.
    var ticks: [Int64?] = []

    init(_ packet: RTCPPacket) throws {
        var reader = ByteReader(packet.body)
        try reader.skip(8)
        base = try reader.readUInt16()
        let count = Int(try reader.readUInt16())
        var tick = Int64(try reader.readUInt24()) * 256
        feedbackCount = try reader.readUInt8()
        var symbols: [UInt16] = []
        while symbols.count < count {
            let chunk = try reader.readUInt16()
            switch chunk >> 14 {
            case 2: symbols += (0..<14).map { chunk >> UInt16(13 - $0) & 1 }
            case 3: symbols += (0..<7).map { chunk >> UInt16(12 - 2 * $0) & 3 }
            default: symbols += [UInt16](repeating: chunk >> 13, count: Int(chunk & 0x1FFF))
            }
        }
        for symbol in symbols.prefix(count) {
            switch symbol {
            case 0:
                ticks.append(nil)
                continue
            case 1: tick += Int64(try reader.readUInt8())
            default: tick += Int64(Int16(bitPattern: try reader.readUInt16()))
            }
            ticks.append(tick)
        }
        #expect(reader.remaining < 4)
    }

    static func all(_ bytes: [UInt8]) throws -> [Self] {
        try bytes.withUnsafeBytes { try RTCPCompound($0).map { try Self($0) } }
    }
}

@Suite("Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1")
struct TransportFeedbackTests {
    @Test("a small packet, byte by byte")
    func bytes() {
        var writer = ByteWriter()
        let told = TransportFeedback.write(
            sender: 1, media: 2, base: 0x1_0005,
            arrivals: [.init(sequence: 0x1_0005, tick: 0x0001_0210), .init(sequence: 0x1_0007, tick: 0x0001_0208)],
            feedbackCount: 9, into: &writer)
        #expect(told == 2)
        #expect(
            writer.bytes == [
                0x8F, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2,
                0, 5, 0, 3,  // base, three statuses
                0x00, 0x01, 0x02, 9,  // reference time 258 × 64 ms
                0xD2, 0x00,  // two-bit vector: small, not received, large
                0x10, 0xFF, 0xF8,  // +16, −8
                0, 0, 0,  // padding
            ])
    }

    @Test("losses, runs and big steps are read back", arguments: 0..<40 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let loss = Int.random(in: 0..<100, using: &generator)
        var tick = Int64.random(in: 0..<1 << 30, using: &generator)
        let base = Int64.random(in: 0x1_0000..<0x3_0000, using: &generator)
        var expected: [Int64?] = []
        var arrivals: [TransportFeedback.Arrival] = []
        for offset in 0..<Int64.random(in: 1..<300, using: &generator) {
            if Int.random(in: 0..<100, using: &generator) < loss {
                expected.append(nil)
            } else {
                tick += Int64.random(in: seed % 2 == 0 ? 0...90 : -200...600, using: &generator)
                expected.append(tick)
                arrivals.append(.init(sequence: base + offset, tick: tick))
            }
        }
        while let last = expected.last, last == nil { expected.removeLast() }
        guard !arrivals.isEmpty else { return }
        var writer = ByteWriter()
        let told = TransportFeedback.write(
            sender: 1, media: 2, base: base, arrivals: arrivals[...], feedbackCount: 3, into: &writer)
        #expect(told == arrivals.count)
        let read = try ReadTransportFeedback.all(writer.bytes)
        #expect(read.count == 1)
        #expect(read.first?.base == UInt16(truncatingIfNeeded: base))
        #expect(read.first?.ticks == expected)
    }

    @Test("a packet ends before a long pause and before a wide gap")
    func prefix() {
        var writer = ByteWriter()
        let arrivals: [TransportFeedback.Arrival] = [
            .init(sequence: 0, tick: 0), .init(sequence: 1, tick: 32_767), .init(sequence: 2, tick: 65_535),
        ]
        #expect(
            TransportFeedback.write(
                sender: 1, media: 2, base: 0, arrivals: arrivals[...], feedbackCount: 0, into: &writer) == 2)
        writer.removeAll()
        let wide: [TransportFeedback.Arrival] = [
            .init(sequence: 0, tick: 0), .init(sequence: 1023, tick: 1), .init(sequence: 1024, tick: 1),
        ]
        #expect(
            TransportFeedback.write(sender: 1, media: 2, base: 0, arrivals: wide[...], feedbackCount: 0, into: &writer)
                == 2)
        #expect(
            TransportFeedback.write(sender: 1, media: 2, base: 5, arrivals: wide[...], feedbackCount: 0, into: &writer)
                == 0)
        #expect(
            TransportFeedback.write(sender: 1, media: 2, base: 5, arrivals: [], feedbackCount: 0, into: &writer) == 0)
    }
}
