// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a sender tells of its stream: the clock mapping and how much it has sent. RFC 3550 §6.4.1, packet type 200.
///
///     |                        SSRC of sender                         |
///     |               NTP timestamp, 32.32 fixed point                |
///     |                         RTP timestamp                         |
///     |                     sender's packet count                     |
///     |                      sender's octet count                     |
///     |                         report blocks                         |
///
/// Profile-specific extensions after the blocks are ignored.
package struct SenderReport: Equatable, Sendable {
    package var ssrc: UInt32
    /// Seconds since 1900 in the high half.
    package var ntp: UInt64
    /// The same instant on the stream's clock.
    package var rtpTimestamp: UInt32
    package var packetCount: UInt32
    /// Payload bytes, without headers and padding.
    package var octetCount: UInt32
    /// At most ``ReportBlock/limit``; more are not written.
    package var reportBlocks: [ReportBlock]

    package init(
        ssrc: UInt32, ntp: UInt64, rtpTimestamp: UInt32, packetCount: UInt32, octetCount: UInt32,
        reportBlocks: [ReportBlock] = []
    ) {
        self.ssrc = ssrc
        self.ntp = ntp
        self.rtpTimestamp = rtpTimestamp
        self.packetCount = packetCount
        self.octetCount = octetCount
        self.reportBlocks = reportBlocks
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        do throws(ByteReaderError) {
            ssrc = try reader.readUInt32()
            ntp = try reader.readUInt64()
            rtpTimestamp = try reader.readUInt32()
            packetCount = try reader.readUInt32()
            octetCount = try reader.readUInt32()
        } catch {
            throw RTCPError(error)
        }
        reportBlocks = try ReportBlock.readAll(packet.count, from: &reader)
    }

    package func write(into writer: inout ByteWriter) {
        let blocks = reportBlocks.prefix(ReportBlock.limit)
        let start = writer.beginRTCPPacket(type: RTCPType.senderReport, count: blocks.count)
        writer.write(ssrc)
        writer.write(ntp)
        writer.write(rtpTimestamp)
        writer.write(packetCount)
        writer.write(octetCount)
        for block in blocks { block.write(into: &writer) }
        writer.finishRTCPPacket(at: start)
    }
}
