// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Retransmission packets: the original header with another SSRC, payload type and sequence number, then the original
/// sequence number, then the original payload. RFC 4588 §4.
///
///     |  RTP header  |  OSN, 16 bits  |  original payload  |
package enum RTX {
    /// The original sequence number takes two bytes.
    package static let overheadByteCount = 2

    /// The number of the packet that was lost.
    ///
    /// - Throws: ``RTPError/truncated(needed:available:)`` when the payload is shorter, as in probes made of padding
    /// only.
    package static func originalSequence(
        of packet: UnsafeRawBufferPointer, header: RTPHeader
    ) throws(RTPError) -> UInt16 {
        guard header.payloadByteCount >= overheadByteCount else {
            throw .truncated(needed: overheadByteCount, available: header.payloadByteCount)
        }
        var reader = ByteReader(packet)
        do throws(ByteReaderError) {
            try reader.skip(header.payloadOffset)
            return try reader.readUInt16()
        } catch {
            throw RTPError(error)
        }
    }

    /// Turns a retransmission back into the original, in place: the header moves over the two extra bytes.
    ///
    /// - Returns: the original packet, two bytes into `packet`.
    package static func restore(
        _ packet: UnsafeMutableRawBufferPointer, header: RTPHeader, ssrc: UInt32, payloadType: UInt8
    ) throws(RTPError) -> UnsafeMutableRawBufferPointer {
        let sequence = try originalSequence(of: UnsafeRawBufferPointer(packet), header: header)
        let original = UnsafeMutableRawBufferPointer(rebasing: packet[overheadByteCount...])
        UnsafeMutableRawBufferPointer(rebasing: original[..<header.payloadOffset])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<header.payloadOffset]))
        RTPHeader.rewrite(original, ssrc: ssrc, payloadType: payloadType, sequence: sequence)
        return original
    }

    /// Writes the retransmission of `packet` into `memory`. Padding of the original is not repeated.
    ///
    /// - Returns: the length written; nil when `memory` is too small.
    package static func write(
        _ packet: UnsafeRawBufferPointer, header: RTPHeader, ssrc: UInt32, payloadType: UInt8, sequence: UInt16,
        into memory: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let payloadEnd = header.payloadOffset + header.payloadByteCount
        let total = payloadEnd + overheadByteCount
        guard payloadEnd <= packet.count, total <= memory.count else { return nil }
        let payloadStart = header.payloadOffset + overheadByteCount
        UnsafeMutableRawBufferPointer(rebasing: memory[..<header.payloadOffset])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[..<header.payloadOffset]))
        memory[header.payloadOffset] = UInt8(truncatingIfNeeded: header.sequence >> 8)
        memory[header.payloadOffset + 1] = UInt8(truncatingIfNeeded: header.sequence)
        UnsafeMutableRawBufferPointer(rebasing: memory[payloadStart..<total])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: packet[header.payloadOffset..<payloadEnd]))
        memory[0] &= ~RTPHeader.paddingBit
        RTPHeader.rewrite(memory, ssrc: ssrc, payloadType: payloadType, sequence: sequence)
        return total
    }
}
