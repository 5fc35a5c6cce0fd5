// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The VP8 payload descriptor, RFC 7741 §4.2.
///
///     |X|R|N|S|R| PID |
///     |I|L|T|K| RSV   |  with X
///     |M| picture ID  |  with I; 15 bits in two bytes with M
///     |   TL0PICIDX   |  with L
///     |TID|Y| KEYIDX  |  with T or K
///     |  VP8 payload  |  its first byte: size, show flag, version, and the inverse key frame flag P in bit 0
package struct VP8Descriptor: Equatable, Sendable {
    /// N: the frame can be dropped without harm to others.
    package let isNonReference: Bool
    /// S: a partition starts here.
    package let startsPartition: Bool
    /// The partition, 0 to 7.
    package let partition: UInt8
    package let pictureID: UInt16?
    /// M: the picture ID has 15 bits; keep its width when rewriting.
    package let hasLongPictureID: Bool
    /// Where the picture ID starts in the payload; meaningful only with ``pictureID``.
    package let pictureIDOffset: Int
    /// TL0PICIDX lies directly after the picture ID.
    package let temporalLevelZeroIndex: UInt8?
    /// 0 to 3.
    package let temporalLayer: UInt8?
    /// Y: the frame depends on layer 0 only, so a receiver may climb to its layer here.
    package let isLayerSync: Bool
    /// 0 to 31.
    package let keyIndex: UInt8?
    /// Where the VP8 payload starts; at most the length of what was read.
    package let byteCount: Int

    package init(reading payload: UnsafeRawBufferPointer) throws(ByteReaderError) {
        var reader = ByteReader(payload)
        let first = try reader.readUInt8()
        isNonReference = first & 0x20 != 0
        startsPartition = first & 0x10 != 0
        partition = first & 0x07
        let flags = first & 0x80 != 0 ? try reader.readUInt8() : 0

        pictureIDOffset = reader.offset
        if flags & 0x80 != 0 {
            let high = try reader.readUInt8()
            hasLongPictureID = high & 0x80 != 0
            pictureID = hasLongPictureID ? UInt16(high & 0x7F) << 8 | UInt16(try reader.readUInt8()) : UInt16(high)
        } else {
            hasLongPictureID = false
            pictureID = nil
        }
        temporalLevelZeroIndex = flags & 0x40 != 0 ? try reader.readUInt8() : nil
        if flags & 0x30 != 0 {
            let byte = try reader.readUInt8()
            temporalLayer = flags & 0x20 != 0 ? byte >> 6 : nil
            isLayerSync = flags & 0x20 != 0 && byte & 0x20 != 0
            keyIndex = flags & 0x10 != 0 ? byte & 0x1F : nil
        } else {
            temporalLayer = nil
            isLayerSync = false
            keyIndex = nil
        }
        byteCount = reader.offset
    }

    /// True for the first packet of a frame.
    package var startsFrame: Bool { startsPartition && partition == 0 }

    /// True for the first packet of a key frame: P of the VP8 payload header is 0, RFC 7741 §4.3.
    package func isKeyFrame(_ payload: UnsafeRawBufferPointer) -> Bool {
        startsFrame && byteCount < payload.count && payload[byteCount] & 0x01 == 0
    }
}
