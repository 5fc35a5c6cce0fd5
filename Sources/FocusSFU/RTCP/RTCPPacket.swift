// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// RTCP packet types, RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2.
enum RTCPType {
    static let senderReport: UInt8 = 200
    static let receiverReport: UInt8 = 201
    static let sourceDescription: UInt8 = 202
    static let goodbye: UInt8 = 203
    static let transportLayerFeedback: UInt8 = 205
    static let payloadSpecificFeedback: UInt8 = 206
    static let extendedReport: UInt8 = 207
    /// What RFC 5761 §4 leaves to RTCP when it shares a port with RTP.
    static let all: ClosedRange<UInt8> = 192...223
}

/// One packet inside an RTCP datagram, RFC 3550 §6.4. It borrows the datagram's memory.
///
///     |V=2|P|  count  |  packet type  |   length in words minus one   |
///     |                             body                              |
package struct RTCPPacket {
    package enum Kind: Equatable, Sendable {
        case senderReport
        case receiverReport
        case sourceDescription
        case goodbye
        case genericNACK
        case transportFeedback
        case pictureLossIndication
        case fullIntraRequest
        /// Feedback that only its application understands; REMB is one.
        case applicationFeedback
        case extendedReport
        /// Valid, and nothing to us.
        case other(type: UInt8)

        fileprivate init(type: UInt8, count: UInt8) {
            self =
                switch (type, count) {
                case (RTCPType.senderReport, _): .senderReport
                case (RTCPType.receiverReport, _): .receiverReport
                case (RTCPType.sourceDescription, _): .sourceDescription
                case (RTCPType.goodbye, _): .goodbye
                case (RTCPType.transportLayerFeedback, GenericNACK.format): .genericNACK
                case (RTCPType.transportLayerFeedback, TransportFeedback.format): .transportFeedback
                case (RTCPType.payloadSpecificFeedback, PictureLossIndication.format): .pictureLossIndication
                case (RTCPType.payloadSpecificFeedback, FullIntraRequest.format): .fullIntraRequest
                case (RTCPType.payloadSpecificFeedback, ReceiverEstimatedMaxBitrate.format): .applicationFeedback
                case (RTCPType.extendedReport, _): .extendedReport
                default: .other(type: type)
                }
        }
    }

    package let kind: Kind
    /// Report blocks, chunks, sources or the feedback format: what the five bits mean depends on the kind.
    package let count: Int
    /// What follows the four header bytes, without padding.
    package let body: UnsafeRawBufferPointer

    /// Reads the packet at the cursor. Only the last packet of a datagram may be padded, RFC 3550 §6.4.1.
    init(reading reader: inout ByteReader) throws(RTCPError) {
        let first: UInt8
        let type: UInt8
        let content: UnsafeRawBufferPointer
        do throws(ByteReaderError) {
            first = try reader.readUInt8()
            type = try reader.readUInt8()
            let length = 4 * Int(try reader.readUInt16())
            content = try reader.readBytes(length)
        } catch {
            throw RTCPError(error)
        }
        guard first >> 6 == 2 else { throw .version(first >> 6) }
        guard RTCPType.all.contains(type) else { throw .packetType(type) }
        count = Int(first & 31)
        kind = Kind(type: type, count: first & 31)
        guard first & 0x20 != 0 else {
            body = content
            return
        }
        guard reader.isAtEnd, let padding = content.last, padding > 0, padding % 4 == 0, Int(padding) <= content.count
        else { throw .padding }
        body = UnsafeRawBufferPointer(rebasing: content.dropLast(Int(padding)))
    }
}

extension ByteWriter {
    /// - Returns: where the packet starts, for ``finishRTCPPacket(at:)``.
    mutating func beginRTCPPacket(type: UInt8, count: Int) -> Int {
        let start = self.count
        write(0x80 | UInt8(count & 31))
        write(type)
        write(UInt16(0))
        return start
    }

    /// Pads to whole words with zeros and fills in the length.
    mutating func finishRTCPPacket(at start: Int) {
        pad(to: 4)
        overwrite(UInt16(truncatingIfNeeded: (count - start) / 4 - 1), at: start + 2)
    }
}
