// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("RTP header, RFC 3550 §5.1")
struct RTPHeaderTests {
    static let packet: [UInt8] = [
        0xB2, 0xE0, 0xFF, 0xFE,  // version 2, padding, extension, 2 CSRC; marker, PT 96; sequence 65534
        0x01, 0x02, 0x03, 0x04,  // timestamp
        0xCA, 0xFE, 0xBA, 0xBE,  // SSRC
        0x00, 0x00, 0x00, 0x01,  // CSRC
        0x00, 0x00, 0x00, 0x02,  // CSRC
        0xBE, 0xDE, 0x00, 0x01,  // one-byte form, one word
        0x10, 0xAA, 0x00, 0x00,  // ID 1, one byte; padding
        0x11, 0x22, 0x33,  // payload
        0x00, 0x00, 0x03,  // padding
    ]

    @Test("every field and offset")
    func fields() throws {
        try Self.packet.withUnsafeBytes { bytes in
            let header = try RTPHeader(reading: bytes)
            #expect(header.marker)
            #expect(header.payloadType == 96)
            #expect(header.sequence == 65534)
            #expect(header.timestamp == 0x0102_0304)
            #expect(header.ssrc == 0xCAFE_BABE)
            #expect(header.csrcCount == 2)
            #expect(header.extensionProfile == 0xBEDE)
            #expect(header.extensionOffset == 24)
            #expect(header.extensionByteCount == 4)
            #expect(header.payloadOffset == 28)
            #expect(header.payloadByteCount == 3)
            #expect(header.paddingByteCount == 3)
            #expect(header.payload(of: bytes).elementsEqual([0x11, 0x22, 0x33]))
        }
    }

    @Test("a header cut anywhere is refused", arguments: 0..<28)
    func truncated(length: Int) {
        #expect(throws: RTPError.self) {
            try Self.packet[..<length].withUnsafeBytes { _ = try RTPHeader(reading: $0) }
        }
    }

    @Test("a header alone is a packet without payload")
    func empty() throws {
        let bytes: [UInt8] = [0x80, 0x60] + [UInt8](repeating: 0, count: 10)
        let header = try bytes.withUnsafeBytes { try RTPHeader(reading: $0) }
        #expect(header.payloadOffset == 12)
        #expect(header.payloadByteCount == 0)
        #expect(header.extensionProfile == 0)
    }

    @Test("other versions are refused", arguments: [0x00, 0x40, 0xC0] as [UInt8])
    func version(first: UInt8) {
        let bytes = [first] + [UInt8](repeating: 0, count: 20)
        #expect(throws: RTPError.version(first >> 6)) {
            try bytes.withUnsafeBytes { _ = try RTPHeader(reading: $0) }
        }
    }

    @Test("padding of zero, or longer than what follows the header, is refused", arguments: [0, 5, 255] as [UInt8])
    func padding(last: UInt8) {
        let bytes: [UInt8] = [0xA0] + [UInt8](repeating: 0, count: 11) + [0, 0, 0, last]
        #expect(throws: RTPError.padding(last)) {
            try bytes.withUnsafeBytes { _ = try RTPHeader(reading: $0) }
        }
    }

    @Test("a packet of padding only has no payload")
    func paddingOnly() throws {
        let bytes: [UInt8] = [0xA0] + [UInt8](repeating: 0, count: 11) + [0, 0, 0, 4]
        let header = try bytes.withUnsafeBytes { try RTPHeader(reading: $0) }
        #expect(header.payloadByteCount == 0)
        #expect(header.paddingByteCount == 4)
    }

    @Test("mutated packets never trap and offsets stay inside")
    func mutations() {
        for bytes in MutatedBytes(of: Self.packet, seed: 3550) {
            bytes.withUnsafeBytes { bytes in
                guard let header = try? RTPHeader(reading: bytes) else { return }
                #expect(header.payloadOffset + header.payloadByteCount + header.paddingByteCount == bytes.count)
                for element in HeaderExtensions(of: bytes, header: header) {
                    #expect(element.range.upperBound <= header.payloadOffset)
                }
                _ = try? RTX.originalSequence(of: bytes, header: header)
            }
        }
    }
}
