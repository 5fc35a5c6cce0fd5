// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("RTP header writing, RFC 3550 §5.1 and RFC 8285")
struct PacketWriterTests {
    private static func header(id: UInt8, value: [UInt8], marker: Bool = true) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: PacketWriter.maximumHeaderLength)
        let length = bytes.withUnsafeMutableBytes { memory in
            value.withUnsafeBytes { value in
                memory.baseAddress.map {
                    PacketWriter.writeHeader(
                        into: $0, payloadType: 96, marker: marker, sequence: 0xABCD, timestamp: 0x0102_0304,
                        ssrc: 0xDEAD_BEEF, extensionID: id, extensionValue: value)
                } ?? 0
            }
        }
        return Array(bytes.prefix(length))
    }

    @Test("a header without extension is twelve bytes", arguments: [true, false])
    func plain(marker: Bool) {
        #expect(
            Self.header(id: 0, value: [1], marker: marker)
                == [0x80, marker ? 0xE0 : 0x60, 0xAB, 0xCD, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF])
        #expect(Self.header(id: 3, value: []).count == 12)
        #expect(Self.header(id: 3, value: [UInt8](repeating: 0, count: 256)).count == 12)
    }

    @Test("an extension parses back in the smallest form that holds it", arguments: [UInt8(1), 12, 14, 15, 16, 255])
    func extensions(id: UInt8) throws {
        for count in [1, 2, 3, 4, 15, 16, 17, 18, 63, 254, 255] {
            let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
            let bytes = Self.header(id: id, value: value)
            try bytes.withUnsafeBytes { packet in
                let header = try RTPHeader(reading: packet)
                #expect(header.sequence == 0xABCD)
                #expect(header.timestamp == 0x0102_0304)
                #expect(header.ssrc == 0xDEAD_BEEF)
                #expect(header.payloadType == 96)
                #expect(header.payloadOffset == bytes.count)
                #expect(header.extensionProfile == (id < 15 && count <= 16 ? 0xBEDE : 0x1000))
                let elements = Array(HeaderExtensions(of: packet, header: header))
                #expect(elements.map(\.id) == [id])
                #expect(elements.first.map { Array(packet[$0.range]) } == value)
            }
        }
    }
}
