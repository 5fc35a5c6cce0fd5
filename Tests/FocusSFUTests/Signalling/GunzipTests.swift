// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

/// Writes gzip members by hand: as they are (stored), or as one endless run of zeros.
enum GzipSamples {
    private static let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]

    private static func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// One stored block, RFC 1951 §3.2.4.
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        let length = UInt16(bytes.count)
        let block: [UInt8] = [
            1, UInt8(truncatingIfNeeded: length), UInt8(length >> 8), UInt8(truncatingIfNeeded: ~length),
            UInt8(~length >> 8),
        ]
        return header + block + bytes + littleEndian(crc32(bytes)) + littleEndian(UInt32(bytes.count))
    }

    /// `1 + 258 * matches` zeros in 13 bits a match (RFC 1951 §3.2.6), without an end: a bomb need not have one.
    static func zeros(matches: Int) -> [UInt8] {
        var bytes = header
        var byte: UInt8 = 0
        var count = 0
        func push(_ bits: String) {
            for bit in bits.utf8 {
                if bit == UInt8(ascii: "1") { byte |= 1 << UInt8(count) }
                count += 1
                if count == 8 {
                    bytes.append(byte)
                    (byte, count) = (0, 0)
                }
            }
        }
        push("1" + "10")  // the last block, fixed codes (low bit first)
        push("00110000")  // literal 0
        for _ in 0..<matches { push("11000101" + "00000") }  // length 258, distance 1
        push("0000000")
        if count > 0 { bytes.append(byte) }
        return bytes
    }
}

@Suite("Decompression of join requests, RFC 1952")
struct GunzipTests {
    /// gzip of "callbridge " forty times, by Python's zlib at level 9.
    private static let compressed: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4B, 0x4E, 0xCC, 0xC9, 0x49, 0x2A, 0xCA, 0x4C,
        0x49,
        0x4F, 0x55, 0x48, 0x1E, 0x65, 0x0E, 0x1D, 0x26, 0x00, 0xF4, 0x33, 0x60, 0xB6, 0xB8, 0x01, 0x00, 0x00,
    ]

    @Test("a compressed stream comes out as it went in")
    func vector() throws {
        let text = Array(String(repeating: "callbridge ", count: 40).utf8)
        #expect(try Gunzip.inflate(Self.compressed, limit: 1 << 20) == text)
        #expect(try Gunzip.inflate(Self.compressed, limit: text.count) == text)
        #expect(throws: Gunzip.Failure.tooLarge) { try Gunzip.inflate(Self.compressed, limit: text.count - 1) }
    }

    @Test("stored blocks of any length", arguments: [0, 1, 16_383, 16_384, 16_385, 65_535])
    func stored(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try Gunzip.inflate(GzipSamples.stored(bytes), limit: 65_535) == bytes)
    }

    @Test("a bomb is refused as soon as it passes the limit")
    func bomb() {
        #expect(throws: Gunzip.Failure.tooLarge) {
            try Gunzip.inflate(GzipSamples.zeros(matches: 300_000), limit: 1 << 20)
        }
    }

    @Test("every truncation is refused", arguments: 0..<36)
    func truncated(length: Int) {
        #expect(throws: Gunzip.Failure.malformed) {
            try Gunzip.inflate(Array(Self.compressed.prefix(length)), limit: 1 << 20)
        }
    }

    @Test("changed bytes are refused or yield bounded output")
    func mutated() {
        for bytes in MutatedBytes(of: Self.compressed, seed: 9, count: 2_000) {
            if let output = try? Gunzip.inflate(bytes, limit: 4_096) { #expect(output.count <= 4_096) }
        }
    }
}
