// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a receiver tells of one stream, in sender and receiver reports. RFC 3550 §6.4.1.
///
///     |                  SSRC of the stream                           |
///     | fraction lost |       cumulative number of packets lost       |
///     |           extended highest sequence number received           |
///     |                      interarrival jitter                      |
///     |         last SR (LSR)         |  delay since last SR (DLSR)   |  32 bits each
package struct ReportBlock: Equatable, Sendable {
    package static let byteCount = 24
    /// The header has five bits for the count.
    package static let limit = 31

    package var ssrc: UInt32
    /// Since the previous report, in 1/256.
    package var fractionLost: UInt8
    /// Signed 24 bits: duplicates make it negative.
    package var cumulativeLost: Int32
    /// Cycles in the high half, sequence number in the low one.
    package var highestSequence: UInt32
    /// In units of the RTP clock.
    package var jitter: UInt32
    /// The middle 32 bits of the last sender report's NTP time; 0 before the first.
    package var lastSenderReport: UInt32
    /// In 1/65536 s.
    package var delaySinceLastSenderReport: UInt32

    package init(
        ssrc: UInt32, fractionLost: UInt8, cumulativeLost: Int32, highestSequence: UInt32, jitter: UInt32,
        lastSenderReport: UInt32, delaySinceLastSenderReport: UInt32
    ) {
        self.ssrc = ssrc
        self.fractionLost = fractionLost
        self.cumulativeLost = cumulativeLost
        self.highestSequence = highestSequence
        self.jitter = jitter
        self.lastSenderReport = lastSenderReport
        self.delaySinceLastSenderReport = delaySinceLastSenderReport
    }

    init(reading reader: inout ByteReader) throws(ByteReaderError) {
        ssrc = try reader.readUInt32()
        fractionLost = try reader.readUInt8()
        cumulativeLost = Int32(bitPattern: try reader.readUInt24() << 8) >> 8
        highestSequence = try reader.readUInt32()
        jitter = try reader.readUInt32()
        lastSenderReport = try reader.readUInt32()
        delaySinceLastSenderReport = try reader.readUInt32()
    }

    func write(into writer: inout ByteWriter) {
        writer.write(ssrc)
        writer.write(fractionLost)
        writer.writeUInt24(UInt32(bitPattern: min(max(cumulativeLost, -0x80_0000), 0x7F_FFFF)))
        writer.write(highestSequence)
        writer.write(jitter)
        writer.write(lastSenderReport)
        writer.write(delaySinceLastSenderReport)
    }

    /// The round trip to whoever sent this block, in 1/65536 s; nil before it has had a sender report of ours.
    /// `now` is the middle 32 bits of the NTP time of arrival. RFC 3550 §6.4.1, figure 2.
    package func roundTrip(at now: UInt32) -> UInt32? {
        guard lastSenderReport != 0 else { return nil }
        let roundTrip = now &- lastSenderReport &- delaySinceLastSenderReport
        // Clocks that run unevenly can make it slightly negative.
        return roundTrip < 0x8000_0000 ? roundTrip : 0
    }

    static func readAll(_ count: Int, from reader: inout ByteReader) throws(RTCPError) -> [Self] {
        guard count * byteCount <= reader.remaining else {
            throw .truncated(needed: count * byteCount, available: reader.remaining)
        }
        var blocks: [Self] = []
        blocks.reserveCapacity(count)
        do throws(ByteReaderError) {
            for _ in 0..<count { blocks.append(try Self(reading: &reader)) }
        } catch {
            throw RTCPError(error)
        }
        return blocks
    }
}
