// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the NAL unit headers of an H264 payload say, RFC 6184 §5.
///
///     |F|NRI|  type   |  single unit, types 1 to 23
///     |F|NRI|   24    |  size (16) | unit | size (16) | unit …      STAP-A, §5.7.1
///     |F|NRI|   28    |S|E|R| type | fragment                      FU-A, §5.8
///
/// Other aggregates and fragments need interleaving, which nobody negotiates; they count as neither start nor key
/// frame.
package struct H264Payload: Equatable, Sendable {
    private enum UnitType {
        static let instantaneousRefresh: UInt8 = 5
        static let sequenceParameterSet: UInt8 = 7
        static let singleTimeAggregate: UInt8 = 24
        static let fragment: UInt8 = 28
        static let single: ClosedRange<UInt8> = 1...23
        static let mask: UInt8 = 0x1F
    }

    /// An IDR slice or a sequence parameter set starts here.
    package let startsKeyFrame: Bool
    /// The payload is a fragment that is not the first of its unit.
    package let continuesUnit: Bool

    package init(reading payload: UnsafeRawBufferPointer) throws(ByteReaderError) {
        var reader = ByteReader(payload)
        let type = try reader.readUInt8() & UnitType.mask
        switch type {
        case UnitType.single:
            startsKeyFrame = Self.isKey(type)
            continuesUnit = false
        case UnitType.singleTimeAggregate:
            var foundKey = false
            while !reader.isAtEnd {
                let unit = try reader.readBytes(Int(try reader.readUInt16()))
                if let header = unit.first, Self.isKey(header & UnitType.mask) { foundKey = true }
            }
            startsKeyFrame = foundKey
            continuesUnit = false
        case UnitType.fragment:
            let header = try reader.readUInt8()
            let isFirst = header & 0x80 != 0
            startsKeyFrame = isFirst && Self.isKey(header & UnitType.mask)
            continuesUnit = !isFirst
        default:
            startsKeyFrame = false
            continuesUnit = true
        }
    }

    private static func isKey(_ type: UInt8) -> Bool {
        type == UnitType.instantaneousRefresh || type == UnitType.sequenceParameterSet
    }
}
