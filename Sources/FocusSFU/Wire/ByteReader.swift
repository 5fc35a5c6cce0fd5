// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why bytes could not be read.
package enum ByteReaderError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
}

/// A cursor over bytes from the network: big-endian, bounds-checked, never trapping.
///
/// It borrows the memory: valid only while the buffer it was made from is.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    /// Bytes consumed so far.
    package private(set) var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    package var remaining: Int { bytes.count - offset }
    package var isAtEnd: Bool { offset == bytes.count }

    @inline(__always)
    private mutating func take(_ count: Int) throws(ByteReaderError) -> Int {
        guard count >= 0, count <= remaining else {
            throw .truncated(needed: count, available: remaining)
        }
        defer { offset += count }
        return offset
    }

    package mutating func readUInt8() throws(ByteReaderError) -> UInt8 {
        bytes[try take(1)]
    }

    package mutating func readUInt16() throws(ByteReaderError) -> UInt16 {
        UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: try take(2), as: UInt16.self))
    }

    /// Three bytes, as RTCP and SCTP extensions use them.
    package mutating func readUInt24() throws(ByteReaderError) -> UInt32 {
        let start = try take(3)
        return UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2])
    }

    package mutating func readUInt32() throws(ByteReaderError) -> UInt32 {
        UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: try take(4), as: UInt32.self))
    }

    package mutating func readUInt64() throws(ByteReaderError) -> UInt64 {
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: try take(8), as: UInt64.self))
    }

    /// The next `count` bytes without a copy.
    package mutating func readBytes(_ count: Int) throws(ByteReaderError) -> UnsafeRawBufferPointer {
        let start = try take(count)
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
    }

    package mutating func skip(_ count: Int) throws(ByteReaderError) {
        _ = try take(count)
    }
}
