// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When each packet of a generated track leaves and which frame it belongs to; packets count from zero.
///
/// Rates that are no multiple of the frame rate give frames of unequal length: 227 packets a second at 30 frames are
/// frames of 7 and 8 packets, and exactly 227 in each second.
package struct PacketSchedule: Equatable, Sendable {
    package enum Pacing: String, CaseIterable, Sendable {
        /// Packets follow each other at equal distances.
        case steady
        /// All packets of a frame leave at once.
        case burst
    }

    package static let videoFramesPerSecond: UInt64 = 30

    package let packetsPerSecond: UInt64
    /// Never more than there are packets.
    package let framesPerSecond: UInt64
    package let pacing: Pacing

    /// - Parameter packetsPerSecond: 1 at least.
    package init(packetsPerSecond: Int, framesPerSecond: UInt64, pacing: Pacing) {
        self.packetsPerSecond = UInt64(max(1, packetsPerSecond))
        self.framesPerSecond = min(framesPerSecond, self.packetsPerSecond)
        self.pacing = pacing
    }

    /// Each packet a frame: audio.
    package static func audio(packetsPerSecond: Int) -> Self {
        Self(packetsPerSecond: packetsPerSecond, framesPerSecond: .max, pacing: .steady)
    }

    package static func video(packetsPerSecond: Int, pacing: Pacing) -> Self {
        Self(packetsPerSecond: packetsPerSecond, framesPerSecond: videoFramesPerSecond, pacing: pacing)
    }

    package func frame(of packet: UInt64) -> UInt64 {
        packet * framesPerSecond / packetsPerSecond
    }

    package func firstPacket(of frame: UInt64) -> UInt64 {
        (frame * packetsPerSecond + framesPerSecond - 1) / framesPerSecond
    }

    package func startsFrame(_ packet: UInt64) -> Bool {
        firstPacket(of: frame(of: packet)) == packet
    }

    package func endsFrame(_ packet: UInt64) -> Bool {
        frame(of: packet + 1) != frame(of: packet)
    }

    /// Nanoseconds from the start of the track.
    package func due(_ packet: UInt64) -> UInt64 {
        switch pacing {
        case .steady: packet * 1_000_000_000 / packetsPerSecond
        case .burst: frame(of: packet) * 1_000_000_000 / framesPerSecond
        }
    }
}
