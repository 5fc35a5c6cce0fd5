// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A track we send to a client, with the identities it will see.
package struct OutgoingTrack: Equatable, Sendable {
    /// Stream id as `PA_…|TR_…`, which clients split to find the participant; track id as `TR_…`.
    package var msid: MediaStreamIdentifier
    package var ssrc: UInt32
    /// For retransmissions; without one, or without RTX at the client, they are sent on ``ssrc``.
    package var rtxSSRC: UInt32?
    package var codec: MediaCodec
    /// The same as the stream id.
    package var cname: String
    package var isStereo: Bool
    /// The publisher writes the dependency descriptor extension.
    package var hasDependencyDescriptor: Bool

    package init(
        msid: MediaStreamIdentifier,
        ssrc: UInt32,
        rtxSSRC: UInt32?,
        codec: MediaCodec,
        cname: String,
        isStereo: Bool,
        hasDependencyDescriptor: Bool
    ) {
        self.msid = msid
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
        self.codec = codec
        self.cname = cname
        self.isStereo = isStereo
        self.hasDependencyDescriptor = hasDependencyDescriptor
    }

    /// Fits agreed formats to this track: feedback we act on, RTX only with a stream for it, and `sprop-stereo`, from
    /// which clients set up stereo playout.
    func adapt(_ codecs: [NegotiatedCodec]) -> [NegotiatedCodec] {
        codecs.map { codec in
            var codec = codec
            codec.feedback.formIntersection(CodecPreferences.sendingFeedback(self.codec))
            if rtxSSRC == nil { codec.rtxPayloadType = nil }
            if codec.codec == .opus {
                codec.parameters = FormatParameters(
                    CodecPreferences.opusParameters + (isStereo ? ";sprop-stereo=1" : ""))
            }
            return codec
        }
    }

    /// `a=msid` and the `a=ssrc` lines by which clients tell our streams apart, as we stamp no mid on packets.
    func write(into media: inout MediaDescription, withRTX: Bool) {
        media.append(.msid, "\(msid.stream) \(msid.track)")
        var streams = [ssrc]
        if withRTX, let rtxSSRC {
            streams.append(rtxSSRC)
            media.append(.ssrcGroup, "FID \(ssrc) \(rtxSSRC)")
        }
        for stream in streams {
            media.append(.ssrc, "\(stream) cname:\(cname)")
            media.append(.ssrc, "\(stream) msid:\(msid.stream) \(msid.track)")
            media.append(.ssrc, "\(stream) mslabel:\(msid.stream)")
            media.append(.ssrc, "\(stream) label:\(msid.track)")
        }
    }
}
