// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Report blocks, RFC 3550 §6.4")
struct ReportBlockTests {
    static let block = ReportBlock(
        ssrc: 0x0102_0304, fractionLost: 5, cumulativeLost: -6, highestSequence: 0x0001_FFFE, jitter: 7,
        lastSenderReport: 8, delaySinceLastSenderReport: 9)

    @Test("the round trip of figure 2: 6.125 s")
    func roundTripTime() {
        var block = Self.block
        block.lastSenderReport = 0xB705_2000
        block.delaySinceLastSenderReport = 0x0005_4000
        #expect(block.roundTrip(at: 0xB710_8000) == 0x0006_2000)
        #expect(block.roundTrip(at: 0xB705_2000) == 0)
        block.lastSenderReport = 0
        #expect(block.roundTrip(at: 1) == nil)
    }

    @Test("a sender report, byte by byte")
    func senderReport() throws {
        let report = SenderReport(
            ssrc: 1, ntp: 0x0203_0405_0607_0809, rtpTimestamp: 10, packetCount: 11, octetCount: 12,
            reportBlocks: [Self.block])
        var writer = ByteWriter()
        report.write(into: &writer)
        let bytes: [UInt8] = [
            0x81, 200, 0, 12,  // one block
            0, 0, 0, 1,  // SSRC
            2, 3, 4, 5, 6, 7, 8, 9,  // NTP
            0, 0, 0, 10,  // RTP timestamp
            0, 0, 0, 11,  // packets
            0, 0, 0, 12,  // octets
            1, 2, 3, 4,  // SSRC of the block
            5, 0xFF, 0xFF, 0xFA,  // fraction, cumulative −6
            0, 1, 0xFF, 0xFE,  // highest sequence
            0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9,  // jitter, LSR, DLSR
        ]
        #expect(writer.bytes == bytes)
        #expect(try RTCPCompoundTests.only(bytes) { try SenderReport(reading: $0) } == report)
    }

    @Test("a receiver report, and more blocks than the header can count")
    func receiverReport() throws {
        let report = ReceiverReport(ssrc: 1, reportBlocks: [Self.block, Self.block])
        var writer = ByteWriter()
        report.write(into: &writer)
        #expect(try RTCPCompoundTests.only(writer.bytes) { try ReceiverReport(reading: $0) } == report)
        writer.removeAll()
        ReceiverReport(ssrc: 1, reportBlocks: [ReportBlock](repeating: Self.block, count: 40)).write(into: &writer)
        #expect(try RTCPCompoundTests.only(writer.bytes) { try ReceiverReport(reading: $0).reportBlocks.count } == 31)
    }

    @Test("fewer blocks than counted are refused", arguments: 0..<13)
    func truncated(words: Int) {
        let bytes = [0x82, 201, 0, UInt8(words)] + [UInt8](repeating: 0, count: 4 * words)
        #expect(throws: RTCPError.self) { _ = try RTCPCompoundTests.only(bytes) { try ReceiverReport(reading: $0) } }
    }

    @Test(
        "cumulative loss is kept within 24 bits",
        arguments: [(Int32.max, 0x7F_FFFF), (.min, -0x80_0000)] as [(Int32, Int32)])
    func clamped(lost: Int32, written: Int32) throws {
        var block = Self.block
        block.cumulativeLost = lost
        var writer = ByteWriter()
        ReceiverReport(ssrc: 1, reportBlocks: [block]).write(into: &writer)
        let read = try RTCPCompoundTests.only(writer.bytes) { try ReceiverReport(reading: $0) }
        #expect(read.reportBlocks.first?.cumulativeLost == written)
    }
}
