// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The aggregation header before the OBUs, AV1 RTP payload specification §4.4.
///
///     |Z|Y| W |N|-|-|-|
///
/// The OBUs are not looked at: an encrypted frame could look like a sequence header.
package struct AV1AggregationHeader: Equatable, Sendable {
    /// Z: the first OBU continues one of the packet before.
    package let continuesUnit: Bool
    /// Y: the last OBU goes on in the next packet.
    package let isContinued: Bool
    /// W: how many OBUs there are; 0 when each has a length.
    package let unitCount: UInt8
    /// N: the first packet of a coded video sequence, which begins with a key frame.
    package let startsCodedSequence: Bool

    package init(reading payload: UnsafeRawBufferPointer) throws(ByteReaderError) {
        var reader = ByteReader(payload)
        let byte = try reader.readUInt8()
        continuesUnit = byte & 0x80 != 0
        isContinued = byte & 0x40 != 0
        unitCount = byte >> 4 & 3
        // N with Z contradicts itself (§4.4) and starts nothing.
        startsCodedSequence = byte & 0x08 != 0 && !continuesUnit
    }
}
