// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Writing header extensions, RFC 8285 §4.2")
struct HeaderExtensionWriterTests {
    @Test("what is written is read back, padded to whole words")
    func roundTrip() throws {
        var memory = [UInt8](repeating: 0xFF, count: 64)
        let length = memory.withUnsafeMutableBytes { memory in
            var writer = HeaderExtensionWriter(memory)
            let short = [
                writer.append(id: 1, 0xAA as UInt8),
                writer.append(id: 2, 0xBBCC as UInt16),
                writer.append(id: 3, uint24: 0x01DD_EEFF),
            ]
            #expect(short == [true, true, true])
            #expect(writer.nextValueOffset == 14)
            let long = [UInt8](1...16).withUnsafeBytes { writer.append(id: 14, value: $0) }
            #expect(long)
            return writer.finish()
        }
        #expect(length == 32)
        let block: [UInt8] = [
            0xBE, 0xDE, 0x00, 0x07,  // one-byte form, seven words
            0x10, 0xAA,  // ID 1
            0x21, 0xBB, 0xCC,  // ID 2
            0x32, 0xDD, 0xEE, 0xFF,  // ID 3
            0xEF, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,  // ID 14
            0x00, 0x00,  // padding
        ]
        #expect(Array(memory[..<length]) == block)
        #expect(memory[length...].allSatisfy { $0 == 0xFF })
    }

    @Test("what the form cannot carry is refused")
    func refused() {
        var memory = [UInt8](repeating: 0, count: 64)
        memory.withUnsafeMutableBytes { memory in
            var writer = HeaderExtensionWriter(memory)
            let appended = [
                writer.append(id: 0, 1 as UInt8),
                writer.append(id: 15, 1 as UInt8),
                [UInt8](repeating: 0, count: 17).withUnsafeBytes { writer.append(id: 1, value: $0) },
                [UInt8]().withUnsafeBytes { writer.append(id: 1, value: $0) },
            ]
            #expect(appended == [false, false, false, false])
            let length = writer.finish()
            #expect(length == 0)
        }
    }

    @Test("memory too small is never overrun", arguments: 0..<12)
    func small(size: Int) {
        var memory = [UInt8](repeating: 0xFF, count: 12)
        memory.withUnsafeMutableBytes { whole in
            var writer = HeaderExtensionWriter(UnsafeMutableRawBufferPointer(rebasing: whole[..<size]))
            let isAppended = writer.append(id: 1, 1 as UInt16)
            #expect(isAppended == (size >= 8))
            _ = writer.append(id: 2, uint24: 1)
            let length = writer.finish()
            #expect(length <= size)
        }
        #expect(memory[size...].allSatisfy { $0 == 0xFF })
    }
}
