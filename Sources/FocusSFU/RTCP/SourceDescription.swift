// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The canonical names of streams. RFC 3550 §6.5, packet type 202.
///
///     |                             SSRC                              |  one chunk a source
///     |   type 1      |    length     |  CNAME in UTF-8, no terminator |
///     |   other items, zeros to the next word, at least one           |
///
/// Items other than CNAME are stepped over.
package struct SourceDescription: Equatable, Sendable {
    package struct Chunk: Equatable, Sendable {
        package var ssrc: UInt32
        /// Nil when the chunk names none. What exceeds 255 bytes of UTF-8 is not written.
        package var canonicalName: String?

        package init(ssrc: UInt32, canonicalName: String?) {
            self.ssrc = ssrc
            self.canonicalName = canonicalName
        }
    }

    /// The header has five bits for the count.
    package static let chunkLimit = 31
    private static let endOfItems: UInt8 = 0
    private static let canonicalNameItem: UInt8 = 1

    /// At most ``chunkLimit``; more are not written.
    package var chunks: [Chunk]

    package init(chunks: [Chunk]) {
        self.chunks = chunks
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        chunks = []
        do throws(ByteReaderError) {
            for _ in 0..<packet.count { chunks.append(try Self.readChunk(&reader)) }
        } catch {
            throw RTCPError(error)
        }
    }

    private static func readChunk(_ reader: inout ByteReader) throws(ByteReaderError) -> Chunk {
        var chunk = Chunk(ssrc: try reader.readUInt32(), canonicalName: nil)
        while true {
            let item = try reader.readUInt8()
            if item == endOfItems { break }
            let text = try reader.readBytes(Int(try reader.readUInt8()))
            if item == canonicalNameItem, chunk.canonicalName == nil {
                chunk.canonicalName = String(decoding: text, as: UTF8.self)
            }
        }
        try reader.skip((4 - reader.offset % 4) % 4)
        return chunk
    }

    package func write(into writer: inout ByteWriter) {
        let chunks = chunks.prefix(Self.chunkLimit)
        let start = writer.beginRTCPPacket(type: RTCPType.sourceDescription, count: chunks.count)
        for chunk in chunks {
            writer.write(chunk.ssrc)
            if let name = chunk.canonicalName?.utf8.prefix(255) {
                writer.write(Self.canonicalNameItem)
                writer.write(UInt8(name.count))
                writer.write(contentsOf: name)
            }
            writer.write(Self.endOfItems)
            writer.pad(to: 4)
        }
        writer.finishRTCPPacket(at: start)
    }
}
