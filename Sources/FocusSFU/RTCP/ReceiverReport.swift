// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a receiver tells of the streams it gets. RFC 3550 §6.4.2, packet type 201.
///
///     |                   SSRC of packet sender                       |
///     |                         report blocks                         |
package struct ReceiverReport: Equatable, Sendable {
    package var ssrc: UInt32
    /// At most ``ReportBlock/limit``; more are not written.
    package var reportBlocks: [ReportBlock]

    package init(ssrc: UInt32, reportBlocks: [ReportBlock]) {
        self.ssrc = ssrc
        self.reportBlocks = reportBlocks
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        do throws(ByteReaderError) {
            ssrc = try reader.readUInt32()
        } catch {
            throw RTCPError(error)
        }
        reportBlocks = try ReportBlock.readAll(packet.count, from: &reader)
    }

    package func write(into writer: inout ByteWriter) {
        let blocks = reportBlocks.prefix(ReportBlock.limit)
        let start = writer.beginRTCPPacket(type: RTCPType.receiverReport, count: blocks.count)
        writer.write(ssrc)
        for block in blocks { block.write(into: &writer) }
        writer.finishRTCPPacket(at: start)
    }
}
