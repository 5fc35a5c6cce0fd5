// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One SSRC that a publisher sends: everything a received packet touches, in one struct allocated once.
///
/// Owned by its ``PeerTransport``; the packet path goes through a pointer to it.
package struct ReceiveStream: ~Copyable {
    package let ssrc: UInt32
    /// Of the SDP section it belongs to.
    package let mid: String
    package let isVideo: Bool
    package let clockRate: UInt32
    package let payloadType: UInt8
    package let codec: VideoCodec?
    /// Index of the layer within its track, lowest first.
    package let layer: Int8
    /// For a retransmission stream the stream it repairs; nil for media.
    package let repaired: UnsafeMutablePointer<ReceiveStream>?
    package let extensions: HeaderExtensionIDs
    package let acceptsNACK: Bool

    package var srtp = SRTPReceiveStreamState()
    package var unwrapper = SequenceUnwrapper()
    package var statistics: ReceiveStatistics
    package var nack: NackGenerator
    package var cache: PacketCache
    package var clock: SenderClock
    package var keyFrameThrottle: KeyframeThrottle
    /// The RTP timestamp of the last key frame, which all its packets have.
    package var keyFrameTimestamp: UInt32?
    package var lastPacketAt: MonotonicTime
    package var lastPacketTimestamp: UInt32 = 0
    package var packetCount: UInt64 = 0
    package var octetCount: UInt64 = 0
    /// Where its packets go; nil until the section is bound to a track.
    package var route: UnsafeMutablePointer<TrackRoute>?

    package init(
        ssrc: UInt32, mid: String, isVideo: Bool, clockRate: UInt32, payloadType: UInt8, codec: VideoCodec?,
        layer: Int8,
        repaired: UnsafeMutablePointer<ReceiveStream>?, extensions: HeaderExtensionIDs, acceptsNACK: Bool,
        bufferPackets: Int, keyFrameIntervalMilliseconds: UInt64, at now: MonotonicTime
    ) {
        self.ssrc = ssrc
        self.mid = mid
        self.isVideo = isVideo
        self.clockRate = clockRate
        self.payloadType = payloadType
        self.codec = codec
        self.layer = layer
        self.repaired = repaired
        self.extensions = extensions
        self.acceptsNACK = acceptsNACK
        statistics = ReceiveStatistics(clockRate: clockRate)
        nack = NackGenerator()
        // A retransmission stream is never asked for. Of the others, most packets are smaller than the longest.
        cache =
            repaired != nil
            ? PacketCache(packetCount: 1, byteCount: 16)
            : PacketCache(packetCount: bufferPackets, byteCount: bufferPackets * (isVideo ? 640 : 128))
        clock = SenderClock(clockRate: clockRate)
        keyFrameThrottle = KeyframeThrottle(intervalMilliseconds: keyFrameIntervalMilliseconds)
        lastPacketAt = now
    }
}
