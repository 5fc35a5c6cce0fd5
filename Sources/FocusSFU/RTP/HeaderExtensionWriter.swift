// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Writes an extension block in the one-byte form into memory of the caller, RFC 8285 §4.2.
///
///     |       0xBEDE        |  length in words  |  ID  L-1 | value | … | padding to 32 bits |
///
/// It never writes past the memory: an element that does not fit is refused and the block stays whole.
package struct HeaderExtensionWriter {
    /// Profile and length.
    package static let prefixByteCount = 4

    private let memory: UnsafeMutableRawBufferPointer
    private var end = prefixByteCount

    package init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    /// Where the value of the next element will lie, counted from the start of the block.
    package var nextValueOffset: Int { end + 1 }

    /// Appends an element; `id` is 1 to 14.
    ///
    /// - Returns: false when the form cannot carry the element or the memory is too small.
    package mutating func append(id: UInt8, value: UnsafeRawBufferPointer) -> Bool {
        guard let start = reserve(id: id, byteCount: value.count) else { return false }
        UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + value.count]).copyMemory(from: value)
        return true
    }

    package mutating func append(id: UInt8, _ value: UInt8) -> Bool {
        guard let start = reserve(id: id, byteCount: 1) else { return false }
        memory[start] = value
        return true
    }

    package mutating func append(id: UInt8, _ value: UInt16) -> Bool {
        guard let start = reserve(id: id, byteCount: 2) else { return false }
        memory[start] = UInt8(truncatingIfNeeded: value >> 8)
        memory[start + 1] = UInt8(truncatingIfNeeded: value)
        return true
    }

    /// The low 24 bits of `value`.
    package mutating func append(id: UInt8, uint24 value: UInt32) -> Bool {
        guard let start = reserve(id: id, byteCount: 3) else { return false }
        memory[start] = UInt8(truncatingIfNeeded: value >> 16)
        memory[start + 1] = UInt8(truncatingIfNeeded: value >> 8)
        memory[start + 2] = UInt8(truncatingIfNeeded: value)
        return true
    }

    /// Completes the block.
    ///
    /// - Returns: its length in bytes; 0 when it has no element, and the X bit must then be clear.
    package mutating func finish() -> Int {
        guard end > Self.prefixByteCount else { return 0 }
        // `reserve` has kept room for the padding.
        while end % 4 != 0 {
            memory[end] = 0
            end += 1
        }
        let words = (end - Self.prefixByteCount) / 4
        memory[0] = UInt8(HeaderExtensions.oneByteProfile >> 8)
        memory[1] = UInt8(HeaderExtensions.oneByteProfile & 0xFF)
        memory[2] = UInt8(truncatingIfNeeded: words >> 8)
        memory[3] = UInt8(truncatingIfNeeded: words)
        return end
    }

    private mutating func reserve(id: UInt8, byteCount: Int) -> Int? {
        let start = end + 1
        let padded = (start + byteCount + 3) / 4 * 4
        guard (1...14).contains(id), (1...16).contains(byteCount), padded <= memory.count else { return nil }
        memory[end] = id << 4 | UInt8(byteCount - 1)
        end = start + byteCount
        return start
    }
}
