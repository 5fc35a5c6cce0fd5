// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The VP9 payload descriptor, RFC 9628 §4.2, as far as routing needs it.
///
///     |I|P|L|F|B|E|V|Z|
///     |M| picture ID  |  with I; 15 bits in two bytes with M
///     | TID |U| SID |D|  with L
///     |   TL0PICIDX   |  with L and not F
///     | P_DIFF      |N|  with F and P, one to three times
///     |  scalability structure, payload  |
package struct VP9Descriptor: Equatable, Sendable {
    /// P: the frame depends on earlier pictures.
    package let isInterPredicted: Bool
    /// B: a frame of one spatial layer starts here.
    package let startsFrame: Bool
    /// E: it ends here.
    package let endsFrame: Bool
    package let pictureID: UInt16?
    /// 0 to 7.
    package let temporalLayer: UInt8?
    /// U: a receiver may climb to this temporal layer here.
    package let isSwitchingUpPoint: Bool
    /// 0 to 7.
    package let spatialLayer: UInt8?
    /// D: the frame depends on the spatial layer below.
    package let isInterLayerPredicted: Bool
    package let temporalLevelZeroIndex: UInt8?
    /// V: the scalability structure is here.
    package let hasScalabilityStructure: Bool
    /// Z: nothing of a higher spatial layer depends on this frame.
    package let isNotReferencedAbove: Bool

    package init(reading payload: UnsafeRawBufferPointer) throws(ByteReaderError) {
        var reader = ByteReader(payload)
        let flags = try reader.readUInt8()
        isInterPredicted = flags & 0x40 != 0
        startsFrame = flags & 0x08 != 0
        endsFrame = flags & 0x04 != 0
        hasScalabilityStructure = flags & 0x02 != 0
        isNotReferencedAbove = flags & 0x01 != 0
        let isFlexible = flags & 0x10 != 0

        if flags & 0x80 != 0 {
            let high = try reader.readUInt8()
            pictureID = high & 0x80 != 0 ? UInt16(high & 0x7F) << 8 | UInt16(try reader.readUInt8()) : UInt16(high)
        } else {
            pictureID = nil
        }
        if flags & 0x20 != 0 {
            let layers = try reader.readUInt8()
            temporalLayer = layers >> 5
            isSwitchingUpPoint = layers & 0x10 != 0
            spatialLayer = layers >> 1 & 0x07
            isInterLayerPredicted = layers & 0x01 != 0
            temporalLevelZeroIndex = isFlexible ? nil : try reader.readUInt8()
        } else {
            temporalLayer = nil
            isSwitchingUpPoint = false
            spatialLayer = nil
            isInterLayerPredicted = false
            temporalLevelZeroIndex = nil
        }
    }

    /// True for the first packet of a key picture, in its lowest spatial layer.
    package var startsKeyFrame: Bool {
        startsFrame && !isInterPredicted && (spatialLayer ?? 0) == 0
    }
}
