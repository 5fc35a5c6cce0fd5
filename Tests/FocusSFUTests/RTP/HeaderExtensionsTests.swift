// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Header extensions, RFC 8285 §4.2 and §4.3")
struct HeaderExtensionsTests {
    static func packet(profile: UInt16, block: [UInt8]) -> [UInt8] {
        [0x90, 0x60] + [UInt8](repeating: 0, count: 10)
            + [UInt8(profile >> 8), UInt8(profile & 0xFF), 0, UInt8(block.count / 4)] + block + [0xEE]
    }

    static func elements(profile: UInt16, _ block: [UInt8]) throws -> [[UInt8]] {
        let packet = packet(profile: profile, block: block)
        return try packet.withUnsafeBytes { bytes in
            let header = try RTPHeader(reading: bytes)
            return HeaderExtensions(of: bytes, header: header).map { [$0.id] + Array(bytes[$0.range]) }
        }
    }

    @Test("one-byte form: values, padding between, sixteen bytes at most")
    func oneByte() throws {
        let long = Array(1...16) as [UInt8]
        let block: [UInt8] = [0x10, 0xAA, 0x00, 0x21, 0x01, 0x02, 0x00, 0xEF] + long
        #expect(try Self.elements(profile: 0xBEDE, block) == [[1, 0xAA], [2, 1, 2], [14] + long])
    }

    @Test("one-byte form: ID 15 ends the block, ID 0 with a length is padding")
    func reserved() throws {
        #expect(try Self.elements(profile: 0xBEDE, [0x10, 1, 0xF0, 2, 0x20, 3, 0, 0]) == [[1, 1]])
        #expect(try Self.elements(profile: 0xBEDE, [0x01, 9, 9, 0x20, 3, 0, 0, 0]) == [[2, 3]])
    }

    @Test("two-byte form: empty and long values, any application bits", arguments: [0x1000, 0x100F] as [UInt16])
    func twoByte(profile: UInt16) throws {
        let long = [UInt8](repeating: 7, count: 20)
        let block: [UInt8] = [1, 0, 0, 200, 20] + long + [15, 1, 5]
        #expect(try Self.elements(profile: profile, block) == [[1], [200] + long, [15, 5]])
    }

    @Test("an element that runs over the block ends the iteration")
    func overrun() throws {
        #expect(try Self.elements(profile: 0xBEDE, [0x10, 1, 0x2F, 0]) == [[1, 1]])
        #expect(try Self.elements(profile: 0x1000, [1, 1, 9, 2]) == [[1, 9]])
        #expect(try Self.elements(profile: 0x1000, [1, 1, 9, 2, 2, 0, 0, 3]) == [[1, 9], [2, 0, 0]])
    }

    @Test("an unknown profile has no elements, nor has a packet without extension")
    func unknownProfile() throws {
        #expect(try Self.elements(profile: 0x2000, [0x10, 1, 0, 0]).isEmpty)
        let plain: [UInt8] = [0x80] + [UInt8](repeating: 0, count: 15)
        try plain.withUnsafeBytes { bytes in
            let extensions = HeaderExtensions(of: bytes, header: try RTPHeader(reading: bytes))
            #expect(extensions.range(of: 0) == nil)
        }
    }

    @Test("the first element with an ID is found")
    func range() throws {
        let packet = Self.packet(profile: 0xBEDE, block: [0x20, 1, 0x30, 2, 0x30, 3, 0, 0])
        try packet.withUnsafeBytes { bytes in
            let extensions = HeaderExtensions(of: bytes, header: try RTPHeader(reading: bytes))
            #expect(extensions.range(of: 3) == 19..<20)
            #expect(extensions.range(of: 4) == nil)
        }
    }
}
