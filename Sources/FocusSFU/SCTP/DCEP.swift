// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a channel establishment message was refused.
package enum DCEPError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    case trailingBytes(Int)
    case unknownMessageType(UInt8)
    case unknownChannelType(UInt8)
    /// Label or protocol of more than ``DCEPMessage/textLimit`` bytes.
    case textTooLong(Int)
    case textNotUTF8
}

/// A message of the Data Channel Establishment Protocol (RFC 8832 §5).
///
///     |  type 3  | channel type |        priority           |
///     |               reliability parameter                 |
///     |       label length      |      protocol length      |  then both texts
package enum DCEPMessage: Equatable, Sendable {
    case open(DataChannelParameters)
    case acknowledgement

    /// Bytes of a label or protocol accepted; the RFC would allow 65,535.
    package static let textLimit = 256
    private static let openType: UInt8 = 0x03
    private static let acknowledgementType: UInt8 = 0x02
    private static let unorderedBit: UInt8 = 0x80

    package init(_ bytes: UnsafeRawBufferPointer) throws(DCEPError) {
        var reader = ByteReader(bytes)
        do {
            switch try reader.readUInt8() {
            case Self.acknowledgementType: self = .acknowledgement
            case Self.openType: self = .open(try Self.readParameters(&reader))
            case let type: throw DCEPError.unknownMessageType(type)
            }
        } catch let error as DCEPError {
            throw error
        } catch ByteReaderError.truncated(let needed, let available) {
            throw .truncated(needed: needed, available: available)
        } catch {
            throw .truncated(needed: 1, available: 0)
        }
        guard reader.isAtEnd else { throw .trailingBytes(reader.remaining) }
    }

    package var bytes: [UInt8] {
        switch self {
        case .acknowledgement: return [Self.acknowledgementType]
        case .open(let parameters): return Self.write(parameters)
        }
    }

    private static func readParameters(_ reader: inout ByteReader) throws -> DataChannelParameters {
        let channelType = try reader.readUInt8()
        let priority = try reader.readUInt16()
        let value = try reader.readUInt32()
        let reliability: SCTPReliability
        switch channelType & ~unorderedBit {
        case 0: reliability = .reliable
        case 1: reliability = .maxRetransmits(UInt16(clamping: value))
        case 2: reliability = .maxLifetimeMilliseconds(UInt16(clamping: value))
        default: throw DCEPError.unknownChannelType(channelType)
        }
        let labelLength = Int(try reader.readUInt16())
        let protocolLength = Int(try reader.readUInt16())
        return DataChannelParameters(
            label: try text(&reader, labelLength),
            subprotocol: try text(&reader, protocolLength),
            ordered: channelType & unorderedBit == 0,
            reliability: reliability,
            priority: priority
        )
    }

    private static func text(_ reader: inout ByteReader, _ length: Int) throws -> String {
        guard length <= textLimit else { throw DCEPError.textTooLong(length) }
        let bytes = try reader.readBytes(length)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw DCEPError.textNotUTF8 }
        return text
    }

    private static func write(_ parameters: DataChannelParameters) -> [UInt8] {
        let label = Array(parameters.label.utf8.prefix(textLimit))
        let subprotocol = Array(parameters.subprotocol.utf8.prefix(textLimit))
        var writer = ByteWriter(reservingCapacity: 12 + label.count + subprotocol.count)
        writer.write(openType)
        let order = parameters.ordered ? 0 : unorderedBit
        switch parameters.reliability {
        case .reliable:
            writer.write(order)
            writer.write(parameters.priority)
            writer.write(UInt32(0))
        case .maxRetransmits(let count):
            writer.write(order | 1)
            writer.write(parameters.priority)
            writer.write(UInt32(count))
        case .maxLifetimeMilliseconds(let time):
            writer.write(order | 2)
            writer.write(parameters.priority)
            writer.write(UInt32(time))
        }
        writer.write(UInt16(label.count))
        writer.write(UInt16(subprotocol.count))
        writer.write(contentsOf: label)
        writer.write(contentsOf: subprotocol)
        return writer.bytes
    }
}
