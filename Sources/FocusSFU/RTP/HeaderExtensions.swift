// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The elements of a packet's extension block, in both forms. RFC 8285 §4.2 and §4.3.
///
///     one-byte form, profile 0xBEDE:   |  ID   | L-1 |  value, L bytes  | …  ID 0 is padding, ID 15 ends the block
///     two-byte form, profile 0x100x:   |      ID     |      L      |  value, L bytes  | …  ID 0 is padding
///
/// Iterating allocates nothing. An element that runs over the block ends the iteration, as does an unknown profile.
package struct HeaderExtensions: Sequence {
    package struct Element: Equatable, Sendable {
        package let id: UInt8
        /// Where the value lies, counted from the first byte of the packet.
        package let range: Range<Int>
    }

    package static let oneByteProfile: UInt16 = 0xBEDE
    /// The low four bits are left to applications.
    package static let twoByteProfile: UInt16 = 0x1000

    private let block: UnsafeRawBufferPointer
    private let offset: Int
    private let profile: UInt16

    /// `packet` is what `header` was read from.
    package init(of packet: UnsafeRawBufferPointer, header: RTPHeader) {
        offset = header.extensionOffset
        profile = header.extensionProfile
        let end = offset + header.extensionByteCount
        block =
            end <= packet.count ? UnsafeRawBufferPointer(rebasing: packet[offset..<end]) : .init(start: nil, count: 0)
    }

    /// Where the value of the first element with `id` lies, counted from the first byte of the packet.
    package func range(of id: UInt8) -> Range<Int>? {
        for element in self where element.id == id { return element.range }
        return nil
    }

    package func makeIterator() -> Iterator {
        Iterator(block: block, offset: offset, profile: profile)
    }

    package struct Iterator: IteratorProtocol {
        private var reader: ByteReader
        private let offset: Int
        private let isOneByte: Bool
        private var isDone: Bool

        fileprivate init(block: UnsafeRawBufferPointer, offset: Int, profile: UInt16) {
            reader = ByteReader(block)
            self.offset = offset
            isOneByte = profile == HeaderExtensions.oneByteProfile
            isDone = !isOneByte && profile & 0xFFF0 != HeaderExtensions.twoByteProfile
        }

        package mutating func next() -> Element? {
            guard !isDone else { return nil }
            do throws(ByteReaderError) {
                while !reader.isAtEnd {
                    let first = try reader.readUInt8()
                    if first == 0 { continue }
                    let id = isOneByte ? first >> 4 : first
                    if isOneByte, id == 15 { break }
                    let length = isOneByte ? Int(first & 15) + 1 : Int(try reader.readUInt8())
                    let start = offset + reader.offset
                    try reader.skip(length)
                    // ID 0 with a length is not allowed; its bytes are stepped over, RFC 8285 §4.2.
                    if id != 0 { return Element(id: id, range: start..<start + length) }
                }
            } catch {
                // The block lies about its last element: what came before stays usable.
            }
            isDone = true
            return nil
        }
    }
}
