// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An order to produce key frames. RFC 5104 §4.3.1, packet type 206, format 4.
///
///     |                    SSRC of packet sender                      |
///     |                    SSRC of media source, unused: 0            |
///     |                             SSRC                              |  one or more times
///     | sequence nr.  |                   reserved                    |
package struct FullIntraRequest: Equatable, Sendable {
    static let format: UInt8 = 4

    package struct Entry: Equatable, Sendable {
        /// The stream that must produce a key frame.
        package var ssrc: UInt32
        /// A repeated number is a repeated request, not a new one.
        package var sequence: UInt8

        package init(ssrc: UInt32, sequence: UInt8) {
            self.ssrc = ssrc
            self.sequence = sequence
        }
    }

    package var sender: UInt32
    package var entries: [Entry]

    package init(sender: UInt32, entries: [Entry]) {
        self.sender = sender
        self.entries = entries
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        entries = []
        do throws(ByteReaderError) {
            sender = try reader.readUInt32()
            try reader.skip(4)
            repeat {
                let entry = Entry(ssrc: try reader.readUInt32(), sequence: try reader.readUInt8())
                try reader.skip(3)
                entries.append(entry)
            } while !reader.isAtEnd
        } catch {
            throw RTCPError(error)
        }
    }

    package func write(into writer: inout ByteWriter) {
        let start = writer.beginRTCPPacket(type: RTCPType.payloadSpecificFeedback, count: Int(Self.format))
        writer.write(sender)
        writer.write(UInt32(0))
        for entry in entries {
            writer.write(entry.ssrc)
            writer.write(entry.sequence)
            writer.writeUInt24(0)
        }
        writer.finishRTCPPacket(at: start)
    }
}
