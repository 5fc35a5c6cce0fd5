// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The payload types and parameters of our own offers; answers take those of the offer instead.
package enum CodecPreferences {
    /// One row of the payload type table.
    struct Payload: Equatable, Sendable {
        var payloadType: UInt8
        var rtxPayloadType: UInt8?
        var parameters: String
    }

    static func payload(for codec: MediaCodec) -> Payload {
        switch codec {
        case .opus: Payload(payloadType: 111, parameters: opusParameters)
        case .red: Payload(payloadType: 63, parameters: "111/111")
        case .vp8: Payload(payloadType: 96, rtxPayloadType: 97, parameters: "")
        case .vp9: Payload(payloadType: 98, rtxPayloadType: 99, parameters: "profile-id=0")
        case .av1: Payload(payloadType: 35, rtxPayloadType: 36, parameters: "")
        case .h264(.constrainedBaseline, .nonInterleaved): h264(108, mode: 1, profileLevelID: "42e01f")
        case .h264(.constrainedBaseline, .singleNALUnit): h264(125, mode: 0, profileLevelID: "42e01f")
        case .h264(.baseline, .nonInterleaved): h264(102, mode: 1, profileLevelID: "42001f")
        case .h264(.baseline, .singleNALUnit): h264(104, mode: 0, profileLevelID: "42001f")
        }
    }

    /// A codec as we offer it to somebody who is to send it.
    static func offered(_ codec: MediaCodec) -> NegotiatedCodec {
        let payload = payload(for: codec)
        return NegotiatedCodec(
            payloadType: payload.payloadType, codec: codec, parameters: FormatParameters(payload.parameters),
            rtxPayloadType: payload.rtxPayloadType, feedback: sendingFeedback(codec))
    }

    static let opusParameters = "minptime=10;useinbandfec=1"

    private static func h264(_ payloadType: UInt8, mode: UInt8, profileLevelID: String) -> Payload {
        Payload(
            payloadType: payloadType, rtxPayloadType: payloadType + 1,
            parameters: "level-asymmetry-allowed=1;packetization-mode=\(mode);profile-level-id=\(profileLevelID)")
    }

    /// Feedback we send to a client about its media. A single connection also carries our media back, and clients keep
    /// one feedback list per codec, so the bandwidth estimate joins in there.
    static func receivingFeedback(_ kind: MediaDescription.Kind, singleConnection: Bool) -> RTCPFeedback {
        switch kind {
        case .audio:
            return [.nack]
        case .video:
            let video: RTCPFeedback = [
                .transportWideCongestionControl, .fullIntraRequest, .nack, .pictureLossIndication,
            ]
            return singleConnection ? video.union(.receiverEstimatedMaximumBitrate) : video
        case .application, .other:
            return []
        }
    }

    /// Feedback we take from a client about our media. Redundant audio repairs itself and asks for nothing.
    static func sendingFeedback(_ codec: MediaCodec) -> RTCPFeedback {
        switch codec {
        case .red: []
        case .opus: [.nack]
        case .vp8, .h264, .vp9, .av1:
            [.receiverEstimatedMaximumBitrate, .fullIntraRequest, .nack, .pictureLossIndication]
        }
    }
}
