// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Packets a receiver misses and wants again. RFC 4585 §6.2.1, packet type 205, format 1.
///
///     |                    SSRC of packet sender                      |
///     |                    SSRC of media source                       |
///     |       packet ID (PID)         |  bitmask of the 16 after (BLP) |  one or more times
///
/// A view: iterating the sequence numbers reads the datagram and allocates nothing.
package struct GenericNACK: Sequence {
    static let format: UInt8 = 1

    /// Who asks.
    package let sender: UInt32
    /// The stream whose packets are missing.
    package let media: UInt32
    private let entries: UnsafeRawBufferPointer

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        do throws(ByteReaderError) {
            sender = try reader.readUInt32()
            media = try reader.readUInt32()
            entries = try reader.readBytes(reader.remaining)
        } catch {
            throw RTCPError(error)
        }
        // Bodies are whole words, and one entry is one word.
        guard entries.count >= 4 else { throw .truncated(needed: 4, available: entries.count) }
    }

    /// Writes one packet; nothing when `missing` is empty.
    ///
    /// `missing` is in ascending serial order; what is close together shares an entry.
    package static func write(
        sender: UInt32, media: UInt32, missing: some Sequence<UInt16>, into writer: inout ByteWriter
    ) {
        var iterator = missing.makeIterator()
        guard var packetID = iterator.next() else { return }
        let start = writer.beginRTCPPacket(type: RTCPType.transportLayerFeedback, count: Int(format))
        writer.write(sender)
        writer.write(media)
        var mask: UInt16 = 0
        while let next = iterator.next() {
            let step = SequenceNumber.distance(from: packetID, to: next)
            if (1...16).contains(step) {
                mask |= 1 << UInt16(step - 1)
            } else if step != 0 {
                writer.write(packetID)
                writer.write(mask)
                packetID = next
                mask = 0
            }
        }
        writer.write(packetID)
        writer.write(mask)
        writer.finishRTCPPacket(at: start)
    }

    package func makeIterator() -> Iterator {
        Iterator(reader: ByteReader(entries))
    }

    package struct Iterator: IteratorProtocol {
        fileprivate var reader: ByteReader
        private var packetID: UInt16 = 0
        private var mask: UInt16 = 0

        fileprivate init(reader: ByteReader) {
            self.reader = reader
        }

        package mutating func next() -> UInt16? {
            if mask != 0 {
                let bit = mask.trailingZeroBitCount
                mask &= mask &- 1
                return packetID &+ UInt16(bit) &+ 1
            }
            guard !reader.isAtEnd else { return nil }
            do throws(ByteReaderError) {
                packetID = try reader.readUInt16()
                mask = try reader.readUInt16()
                return packetID
            } catch {
                // Unreachable: the body is made of whole words.
                return nil
            }
        }
    }
}
