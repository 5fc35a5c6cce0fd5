// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Generic NACK, RFC 4585 §6.2.1")
struct GenericNACKTests {
    @Test("PID and bitmask, byte by byte")
    func bytes() throws {
        var writer = ByteWriter()
        GenericNACK.write(sender: 1, media: 2, missing: [100, 101, 116, 117], into: &writer)
        let bytes: [UInt8] = [
            0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2,
            0, 100, 0x80, 0x01,  // 100, 101 and 116
            0, 117, 0x00, 0x00,
        ]
        #expect(writer.bytes == bytes)
        try RTCPCompoundTests.only(bytes) { packet in
            let nack = try GenericNACK(reading: packet)
            #expect(nack.sender == 1 && nack.media == 2)
            #expect(Array(nack) == [100, 101, 116, 117])
        }
    }

    @Test("numbers wrap, repetitions are told once")
    func wrap() throws {
        var writer = ByteWriter()
        GenericNACK.write(sender: 1, media: 2, missing: [65530, 65535, 65535, 0, 10, 11], into: &writer)
        #expect(writer.count == 20)
        #expect(
            try RTCPCompoundTests.only(writer.bytes) { Array(try GenericNACK(reading: $0)) }
                == [65530, 65535, 0, 10, 11])
    }

    @Test("nothing missing, nothing written")
    func empty() {
        var writer = ByteWriter()
        GenericNACK.write(sender: 1, media: 2, missing: [], into: &writer)
        #expect(writer.count == 0)
    }

    @Test("a packet without entry is refused", arguments: 0..<3)
    func truncated(words: Int) {
        let bytes = [0x81, 205, 0, UInt8(words)] + [UInt8](repeating: 0, count: 4 * words)
        #expect(throws: RTCPError.self) { try RTCPCompoundTests.only(bytes) { _ = try GenericNACK(reading: $0) } }
    }
}
