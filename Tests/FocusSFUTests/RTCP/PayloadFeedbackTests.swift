// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Payload-specific feedback: PLI, FIR and REMB")
struct PayloadFeedbackTests {
    @Test("picture loss indication, RFC 4585 §6.3.1")
    func pictureLoss() throws {
        let bytes: [UInt8] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0x03, 0x30, 0xBD, 0xEE]
        let indication = try RTCPCompoundTests.only(bytes) { try PictureLossIndication(reading: $0) }
        #expect(indication == PictureLossIndication(sender: 1, media: 0x0330_BDEE))
        var writer = ByteWriter()
        indication.write(into: &writer)
        #expect(writer.bytes == bytes)
        #expect(throws: RTCPError.self) {
            try RTCPCompoundTests.only([0x81, 206, 0, 1, 0, 0, 0, 1]) { _ = try PictureLossIndication(reading: $0) }
        }
    }

    @Test("full intra request, RFC 5104 §4.3.1")
    func fullIntra() throws {
        let bytes: [UInt8] = [
            0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0,
            0, 0, 0, 2, 77, 0, 0, 0,
            0, 0, 0, 3, 78, 0, 0, 0,
        ]
        let request = try RTCPCompoundTests.only(bytes) { try FullIntraRequest(reading: $0) }
        #expect(request.entries == [.init(ssrc: 2, sequence: 77), .init(ssrc: 3, sequence: 78)])
        var writer = ByteWriter()
        request.write(into: &writer)
        #expect(writer.bytes == bytes)
        for words in 0..<4 {
            let cut = [0x84, 206, 0, UInt8(words)] + bytes[4..<4 + 4 * words]
            #expect(throws: RTCPError.self) {
                try RTCPCompoundTests.only(cut) { _ = try FullIntraRequest(reading: $0) }
            }
        }
    }

    @Test("REMB, byte by byte")
    func estimate() throws {
        let bytes: [UInt8] = [
            0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0,
            0x52, 0x45, 0x4D, 0x42,  // REMB
            1, 0x0B, 0xD0, 0x90,  // one stream, exponent 2, mantissa 250000
            0, 0, 0, 2,
        ]
        let estimate = try RTCPCompoundTests.only(bytes) { try ReceiverEstimatedMaxBitrate(reading: $0) }
        #expect(estimate == ReceiverEstimatedMaxBitrate(sender: 1, bitrate: 1_000_000, streams: [2]))
        var writer = ByteWriter()
        estimate.write(into: &writer)
        #expect(writer.bytes == bytes)
    }

    @Test(
        "bitrates survive with 18 significant bits", arguments: [0, 1, 262_143, 262_144, 30_000_000, .max] as [UInt64])
    func bitrates(bitrate: UInt64) throws {
        var writer = ByteWriter()
        ReceiverEstimatedMaxBitrate(sender: 1, bitrate: bitrate, streams: []).write(into: &writer)
        let read = try RTCPCompoundTests.only(writer.bytes) { try ReceiverEstimatedMaxBitrate(reading: $0) }.bitrate
        #expect(read <= bitrate && bitrate - read <= bitrate >> 17)
    }

    @Test("an exponent beyond 64 bits saturates; other applications and missing streams are refused")
    func hostile() throws {
        var bytes: [UInt8] = [0x8F, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0x52, 0x45, 0x4D, 0x42, 0, 0xFF, 0xFF, 0xFF]
        #expect(try RTCPCompoundTests.only(bytes) { try ReceiverEstimatedMaxBitrate(reading: $0) }.bitrate == .max)
        bytes[16] = 1
        #expect(throws: RTCPError.truncated(needed: 4, available: 0)) {
            try RTCPCompoundTests.only(bytes) { _ = try ReceiverEstimatedMaxBitrate(reading: $0) }
        }
        bytes[16] = 0
        bytes[12] = 0x53
        #expect(throws: RTCPError.unknownApplication(0x5345_4D42)) {
            try RTCPCompoundTests.only(bytes) { _ = try ReceiverEstimatedMaxBitrate(reading: $0) }
        }
    }
}
