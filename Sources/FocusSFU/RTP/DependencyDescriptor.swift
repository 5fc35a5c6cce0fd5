// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What every dependency descriptor says of its packet, whatever the codec and even when the payload is encrypted.
///
/// AV1 RTP payload specification, appendix A.2: the mandatory fields, and of the extended ones only the flags.
///
///     |S|E| template (6) |     frame number (16)     |  mandatory
///     |T|A|D|F|C| …                                  |  extended, when there are more than 3 bytes
///
/// The template structure (T) is sent with a key frame and only there.
package struct DependencyDescriptor: Equatable, Sendable {
    package let startsFrame: Bool
    package let endsFrame: Bool
    package let templateID: UInt8
    package let frameNumber: UInt16
    /// The packet carries the template dependency structure.
    package let hasTemplateStructure: Bool

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        var reader = ByteReader(value)
        do throws(ByteReaderError) {
            let first = try reader.readUInt8()
            startsFrame = first & 0x80 != 0
            endsFrame = first & 0x40 != 0
            templateID = first & 0x3F
            frameNumber = try reader.readUInt16()
            hasTemplateStructure = reader.isAtEnd ? false : try reader.readUInt8() & 0x80 != 0
        } catch {
            throw RTPError(error)
        }
    }

    /// True for the first packet of a key frame.
    package var startsKeyFrame: Bool { startsFrame && hasTemplateStructure }
}
