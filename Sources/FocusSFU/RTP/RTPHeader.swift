// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why bytes are not an RTP packet, or an extension's value not what its name says.
package enum RTPError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    /// The version field is not 2.
    case version(UInt8)
    /// The padding length is zero or more than what follows the header.
    case padding(UInt8)
    /// The value of a header extension does not have the form its type asks for.
    case extensionValue

    init(_ error: ByteReaderError) {
        switch error {
        case .truncated(let needed, let available): self = .truncated(needed: needed, available: available)
        }
    }
}

/// The RTP header as numbers and offsets; it owns no memory. RFC 3550 §5.1 and §5.3.1.
///
///      0                   1                   2                   3
///     |V=2|P|X|  CC   |M|     PT      |        sequence number        |  bytes 0–3
///     |                           timestamp                           |  bytes 4–7
///     |                             SSRC                              |  bytes 8–11
///     |                    CSRC, CC times 32 bits                     |
///     |      extension profile        |   length in 32-bit words      |  with X
///     |                    extension, payload, padding                |
///
/// Offsets count from the first byte of the packet and always lie within it.
package struct RTPHeader: Equatable, Sendable {
    package static let fixedByteCount = 12
    static let paddingBit: UInt8 = 0x20
    private static let extensionBit: UInt8 = 0x10

    package let marker: Bool
    package let payloadType: UInt8
    package let sequence: UInt16
    package let timestamp: UInt32
    package let ssrc: UInt32
    package let csrcCount: Int
    /// What the extension block says it holds; 0 without one.
    package let extensionProfile: UInt16
    /// Where the extension elements start, after profile and length; the payload's start without any.
    package let extensionOffset: Int
    package let extensionByteCount: Int
    package let payloadOffset: Int
    /// Without padding.
    package let payloadByteCount: Int
    /// Bytes of padding at the end, counting the one that says so.
    package let paddingByteCount: Int

    package init(reading packet: UnsafeRawBufferPointer) throws(RTPError) {
        var reader = ByteReader(packet)
        let first: UInt8
        do throws(ByteReaderError) {
            first = try reader.readUInt8()
            let second = try reader.readUInt8()
            marker = second & 0x80 != 0
            payloadType = second & 0x7F
            sequence = try reader.readUInt16()
            timestamp = try reader.readUInt32()
            ssrc = try reader.readUInt32()
            csrcCount = Int(first & 15)
            try reader.skip(4 * csrcCount)
            if first & Self.extensionBit != 0 {
                extensionProfile = try reader.readUInt16()
                extensionByteCount = 4 * Int(try reader.readUInt16())
                extensionOffset = reader.offset
                try reader.skip(extensionByteCount)
            } else {
                extensionProfile = 0
                extensionByteCount = 0
                extensionOffset = reader.offset
            }
        } catch {
            throw RTPError(error)
        }
        guard first >> 6 == 2 else { throw .version(first >> 6) }
        payloadOffset = reader.offset
        if first & Self.paddingBit != 0 {
            let last = reader.isAtEnd ? 0 : packet[packet.count - 1]
            guard last > 0, Int(last) <= reader.remaining else { throw .padding(last) }
            paddingByteCount = Int(last)
        } else {
            paddingByteCount = 0
        }
        payloadByteCount = reader.remaining - paddingByteCount
    }

    /// The payload without padding. `packet` is what the header was read from.
    @inline(__always)
    package func payload(of packet: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let end = payloadOffset + payloadByteCount
        guard end <= packet.count else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: packet[payloadOffset..<end])
    }

    /// Overwrites fields that forwarding changes; the marker bit stays. `packet` has at least ``fixedByteCount`` bytes.
    static func rewrite(
        _ packet: UnsafeMutableRawBufferPointer, ssrc: UInt32, payloadType: UInt8, sequence: UInt16
    ) {
        guard packet.count >= fixedByteCount else { return }
        packet[1] = packet[1] & 0x80 | payloadType & 0x7F
        packet.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        packet.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
    }
}
