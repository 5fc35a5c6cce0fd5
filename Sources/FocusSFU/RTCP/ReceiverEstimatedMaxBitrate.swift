// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a receiver believes its link can carry. draft-alvestrand-rmcat-remb-03 §2.2, packet type 206, format 15.
///
///     |                    SSRC of packet sender                      |
///     |                    SSRC of media source, unused: 0            |
///     |                   'R'  'E'  'M'  'B'                          |
///     |  number SSRC  |  exponent (6) |  mantissa (18)                |
///     |                    SSRC, number times                         |
package struct ReceiverEstimatedMaxBitrate: Equatable, Sendable {
    /// Application layer feedback.
    static let format: UInt8 = 15
    private static let identifier: UInt32 = 0x5245_4D42
    private static let mantissaBits = 18

    package var sender: UInt32
    /// In bit/s; written with 18 significant bits, rounded down.
    package var bitrate: UInt64
    /// The streams it is for; at most 255 are written.
    package var streams: [UInt32]

    package init(sender: UInt32, bitrate: UInt64, streams: [UInt32]) {
        self.sender = sender
        self.bitrate = bitrate
        self.streams = streams
    }

    /// - Throws: ``RTCPError/unknownApplication(_:)`` when this is feedback of another application.
    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        let identifier: UInt32
        streams = []
        do throws(ByteReaderError) {
            sender = try reader.readUInt32()
            try reader.skip(4)
            identifier = try reader.readUInt32()
            let count = Int(try reader.readUInt8())
            let packed = try reader.readUInt24()
            let mantissa = UInt64(packed & 0x3_FFFF)
            let exponent = Int(packed >> 18)
            // An exponent of 63 is legal on the wire and more than 64 bits hold.
            bitrate = exponent > mantissa.leadingZeroBitCount ? .max : mantissa << UInt64(exponent)
            for _ in 0..<count { streams.append(try reader.readUInt32()) }
        } catch {
            throw RTCPError(error)
        }
        guard identifier == Self.identifier else { throw .unknownApplication(identifier) }
    }

    package func write(into writer: inout ByteWriter) {
        let streams = streams.prefix(255)
        let start = writer.beginRTCPPacket(type: RTCPType.payloadSpecificFeedback, count: Int(Self.format))
        writer.write(sender)
        writer.write(UInt32(0))
        writer.write(Self.identifier)
        writer.write(UInt8(streams.count))
        let exponent = max(0, UInt64.bitWidth - bitrate.leadingZeroBitCount - Self.mantissaBits)
        writer.writeUInt24(UInt32(exponent) << 18 | UInt32(truncatingIfNeeded: bitrate >> UInt64(exponent)))
        for stream in streams { writer.write(stream) }
        writer.finishRTCPPacket(at: start)
    }
}
