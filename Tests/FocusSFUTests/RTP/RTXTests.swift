// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Retransmission packets, RFC 4588 §4")
struct RTXTests {
    static let original: [UInt8] = [
        0x90, 0xE0, 0xFF, 0xFF, 0, 0, 0, 9, 0, 0, 0, 1,  // marker, PT 96, sequence 65535, SSRC 1
        0xBE, 0xDE, 0x00, 0x01, 0x10, 0xAA, 0x00, 0x00,  // an extension, kept
        1, 2, 3, 4, 5,
    ]

    @Test("written, read and restored")
    func roundTrip() throws {
        var memory = [UInt8](repeating: 0, count: 100)
        let length = try Self.original.withUnsafeBytes { packet in
            let header = try RTPHeader(reading: packet)
            return memory.withUnsafeMutableBytes {
                RTX.write(packet, header: header, ssrc: 2, payloadType: 97, sequence: 7, into: $0)
            }
        }
        #expect(length == Self.original.count + 2)
        memory.removeLast(memory.count - (length ?? 0))
        let header = try memory.withUnsafeBytes { try RTPHeader(reading: $0) }
        #expect(header.marker && header.payloadType == 97 && header.sequence == 7 && header.ssrc == 2)
        #expect(try memory.withUnsafeBytes { try RTX.originalSequence(of: $0, header: header) } == 65535)
        let restored = try memory.withUnsafeMutableBytes {
            Array(try RTX.restore($0, header: header, ssrc: 1, payloadType: 96))
        }
        #expect(restored == Self.original)
    }

    @Test("padding is not repeated")
    func padding() throws {
        var padded = Self.original + [0, 2]
        padded[0] |= 0x20
        var memory = [UInt8](repeating: 0, count: 100)
        let length = try padded.withUnsafeBytes { packet in
            let header = try RTPHeader(reading: packet)
            return memory.withUnsafeMutableBytes {
                RTX.write(packet, header: header, ssrc: 2, payloadType: 97, sequence: 7, into: $0)
            }
        }
        #expect(length == Self.original.count + 2)
        #expect(memory[0] == 0x90)
    }

    @Test("memory too small is left alone", arguments: [0, 12, 26])
    func small(size: Int) throws {
        var memory = [UInt8](repeating: 0xFF, count: size)
        try Self.original.withUnsafeBytes { packet in
            let header = try RTPHeader(reading: packet)
            memory.withUnsafeMutableBytes {
                #expect(RTX.write(packet, header: header, ssrc: 2, payloadType: 97, sequence: 7, into: $0) == nil)
            }
        }
        #expect(memory.allSatisfy { $0 == 0xFF })
    }

    @Test("a probe without the original number is refused", arguments: 0..<2)
    func probe(payload: Int) throws {
        var bytes = [0x80 as UInt8] + [UInt8](repeating: 0, count: 11 + payload)
        let header = try bytes.withUnsafeBytes { try RTPHeader(reading: $0) }
        #expect(throws: RTPError.truncated(needed: 2, available: payload)) {
            try bytes.withUnsafeMutableBytes { _ = try RTX.restore($0, header: header, ssrc: 1, payloadType: 96) }
        }
    }
}
