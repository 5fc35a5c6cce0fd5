// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A receiver lost coded video and asks its sender for a key frame. RFC 4585 §6.3.1, packet type 206, format 1.
///
///     |                    SSRC of packet sender                      |
///     |                    SSRC of media source                       |
package struct PictureLossIndication: Equatable, Sendable {
    static let format: UInt8 = 1

    /// Who asks.
    package var sender: UInt32
    /// The stream that must produce a key frame.
    package var media: UInt32

    package init(sender: UInt32, media: UInt32) {
        self.sender = sender
        self.media = media
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        do throws(ByteReaderError) {
            sender = try reader.readUInt32()
            media = try reader.readUInt32()
        } catch {
            throw RTCPError(error)
        }
    }

    package func write(into writer: inout ByteWriter) {
        let start = writer.beginRTCPPacket(type: RTCPType.payloadSpecificFeedback, count: Int(Self.format))
        writer.write(sender)
        writer.write(media)
        writer.finishRTCPPacket(at: start)
    }
}
