// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Source description and goodbye, RFC 3550 §6.5 and §6.6")
struct SourceDescriptionTests {
    @Test("names of every length are padded and read back", arguments: 0...9)
    func roundTrip(length: Int) throws {
        let name = String(repeating: "n", count: length)
        let description = SourceDescription(chunks: [
            .init(ssrc: 1, canonicalName: name), .init(ssrc: 2, canonicalName: nil), .init(ssrc: 3, canonicalName: "x"),
        ])
        var writer = ByteWriter()
        description.write(into: &writer)
        #expect(writer.count % 4 == 0)
        #expect(try RTCPCompoundTests.only(writer.bytes) { try SourceDescription(reading: $0) } == description)
    }

    @Test("other items are stepped over")
    func otherItems() throws {
        let bytes: [UInt8] = [
            0x81, 202, 0, 5,
            0, 0, 0, 9,  // SSRC
            15, 1, 0x30,  // mid "0"
            2, 3, 1, 2, 3,  // NAME
            1, 2, 0x61, 0x62,  // CNAME "ab"
            0, 0, 0, 0,  // end
        ]
        let description = try RTCPCompoundTests.only(bytes) { try SourceDescription(reading: $0) }
        #expect(description.chunks == [.init(ssrc: 9, canonicalName: "ab")])
    }

    @Test("a name of more than 255 bytes is cut, not overrun")
    func long() throws {
        var writer = ByteWriter()
        SourceDescription(chunks: [.init(ssrc: 1, canonicalName: String(repeating: "n", count: 300))]).write(
            into: &writer)
        let read = try RTCPCompoundTests.only(writer.bytes) { try SourceDescription(reading: $0) }
        #expect(read.chunks.first?.canonicalName?.utf8.count == 255)
    }

    @Test(
        "a chunk without end is refused",
        arguments: [[0, 0, 0, 9, 1, 200, 0, 0], [0, 0, 0, 9], [0, 0, 0, 9, 1, 2, 3, 4]] as [[UInt8]])
    func truncated(body: [UInt8]) {
        #expect(throws: RTCPError.self) {
            try RTCPCompoundTests.only([0x81, 202, 0, UInt8(body.count / 4)] + body) {
                _ = try SourceDescription(reading: $0)
            }
        }
    }

    @Test("goodbye: sources read and written, a reason ignored, fewer sources than counted refused")
    func goodbye() throws {
        var writer = ByteWriter()
        Goodbye(sources: [1, 0xFFFF_FFFF]).write(into: &writer)
        #expect(writer.bytes == [0x82, 203, 0, 2, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF])
        let reasoned: [UInt8] = [0x81, 203, 0, 2, 0, 0, 0, 7, 3, 0x62, 0x79, 0x65]
        #expect(try RTCPCompoundTests.only(reasoned) { try Goodbye(reading: $0) } == Goodbye(sources: [7]))
        #expect(throws: RTCPError.self) {
            try RTCPCompoundTests.only([0x82, 203, 0, 1, 0, 0, 0, 1]) { _ = try Goodbye(reading: $0) }
        }
    }
}
