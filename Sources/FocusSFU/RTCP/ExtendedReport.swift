// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Extended reports, of which two blocks let a receiver that sends nothing learn the round trip. RFC 3611 §2, packet
/// type 207.
///
///     |                    SSRC of packet sender                      |
///     | block type    |  reserved     |   length in words             |  one or more blocks
///     |   4, receiver reference time: NTP timestamp, 32.32            |  §4.4
///     |   5, DLRR: SSRC of receiver, last RR, delay since last RR     |  §4.5, three words a receiver
///
/// Other blocks are stepped over.
package struct ExtendedReport: Equatable, Sendable {
    package struct DelaySinceLastReference: Equatable, Sendable {
        /// The receiver whose reference time is answered.
        package var ssrc: UInt32
        /// The middle 32 bits of that reference time; 0 when there was none.
        package var lastReference: UInt32
        /// In 1/65536 s.
        package var delay: UInt32

        package init(ssrc: UInt32, lastReference: UInt32, delay: UInt32) {
            self.ssrc = ssrc
            self.lastReference = lastReference
            self.delay = delay
        }
    }

    private static let receiverReferenceTimeBlock: UInt8 = 4
    private static let delayBlock: UInt8 = 5
    private static let delayWords = 3

    package var sender: UInt32
    /// The sender's clock, 32.32 NTP; the last block counts.
    package var receiverReferenceTime: UInt64?
    package var delays: [DelaySinceLastReference]

    package init(sender: UInt32, receiverReferenceTime: UInt64? = nil, delays: [DelaySinceLastReference] = []) {
        self.sender = sender
        self.receiverReferenceTime = receiverReferenceTime
        self.delays = delays
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        delays = []
        do throws(ByteReaderError) {
            sender = try reader.readUInt32()
            while !reader.isAtEnd {
                let type = try reader.readUInt8()
                try reader.skip(1)
                let length = Int(try reader.readUInt16())
                var block = ByteReader(try reader.readBytes(4 * length))
                switch type {
                case Self.receiverReferenceTimeBlock:
                    receiverReferenceTime = try block.readUInt64()
                case Self.delayBlock:
                    while !block.isAtEnd {
                        delays.append(
                            DelaySinceLastReference(
                                ssrc: try block.readUInt32(), lastReference: try block.readUInt32(),
                                delay: try block.readUInt32()))
                    }
                default:
                    continue
                }
            }
        } catch {
            throw RTCPError(error)
        }
    }

    package func write(into writer: inout ByteWriter) {
        let start = writer.beginRTCPPacket(type: RTCPType.extendedReport, count: 0)
        writer.write(sender)
        if let receiverReferenceTime {
            writer.write(Self.receiverReferenceTimeBlock)
            writer.write(UInt8(0))
            writer.write(UInt16(2))
            writer.write(receiverReferenceTime)
        }
        if !delays.isEmpty {
            writer.write(Self.delayBlock)
            writer.write(UInt8(0))
            writer.write(UInt16(truncatingIfNeeded: delays.count * Self.delayWords))
            for delay in delays {
                writer.write(delay.ssrc)
                writer.write(delay.lastReference)
                writer.write(delay.delay)
            }
        }
        writer.finishRTCPPacket(at: start)
    }
}
