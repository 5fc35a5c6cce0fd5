// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Sources that have left. RFC 3550 §6.6, packet type 203.
///
///     |                      SSRC, count times                        |
///     |    length     |          reason for leaving (optional)        |
///
/// The reason is for people and neither read nor written.
package struct Goodbye: Equatable, Sendable {
    /// The header has five bits for the count.
    package static let sourceLimit = 31

    /// At most ``sourceLimit``; more are not written.
    package var sources: [UInt32]

    package init(sources: [UInt32]) {
        self.sources = sources
    }

    package init(reading packet: RTCPPacket) throws(RTCPError) {
        var reader = ByteReader(packet.body)
        sources = []
        do throws(ByteReaderError) {
            for _ in 0..<packet.count { sources.append(try reader.readUInt32()) }
        } catch {
            throw RTCPError(error)
        }
    }

    package func write(into writer: inout ByteWriter) {
        let sources = sources.prefix(Self.sourceLimit)
        let start = writer.beginRTCPPacket(type: RTCPType.goodbye, count: sources.count)
        for source in sources { writer.write(source) }
        writer.finishRTCPPacket(at: start)
    }
}
