// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A codec the focus forwards, by its encoding name.
package enum CodecName: String, CaseIterable, Hashable, Sendable {
    case opus = "opus"
    case red = "red"
    case vp8 = "VP8"
    case h264 = "H264"
    case vp9 = "VP9"
    case av1 = "AV1"

    /// Finds a codec by name without regard to case, as `a=rtpmap` and signalling spell it.
    package init?(encodingName: some StringProtocol) {
        guard let codec = Self.allCases.first(where: { $0.rawValue.equalsIgnoringCase(encodingName) }) else {
            return nil
        }
        self = codec
    }

    package var kind: MediaDescription.Kind {
        switch self {
        case .opus, .red: .audio
        case .vp8, .h264, .vp9, .av1: .video
        }
    }

    /// Hz of the RTP timestamp.
    package var clockRate: UInt32 { kind == .audio ? 48_000 : 90_000 }
    package var channels: UInt8 { kind == .audio ? 2 : 1 }
    /// As in `video/VP8`.
    package var mimeType: String { "\(kind.text)/\(rawValue)" }
}

/// The H.264 profiles we accept (RFC 6184 §8.1, table 5). Neither has B-frames, so packets leave in decoding order.
package enum H264Profile: Hashable, Sendable {
    case constrainedBaseline
    case baseline

    /// Reads `profile-level-id`; an absent one means Baseline. Nil for other profiles and malformed values.
    init?(profileLevelID text: Substring?) {
        guard let text else {
            self = .baseline
            return
        }
        guard text.utf8.count == 6, text.utf8.first != UInt8(ascii: "+"), let value = UInt32(text, radix: 16) else {
            return nil
        }
        let (indication, constraints) = (value >> 16, value >> 8 & 0xFF)
        let hasSet0 = constraints & 0x80 != 0
        let hasSet1 = constraints & 0x40 != 0
        switch indication {
        case 0x42: self = hasSet1 ? .constrainedBaseline : .baseline
        case 0x4D where hasSet0: self = .constrainedBaseline
        case 0x58 where hasSet0: self = hasSet1 ? .constrainedBaseline : .baseline
        default: return nil
        }
    }
}

/// How NAL units become packets (RFC 6184 §6.2). The interleaved mode is not accepted.
package enum H264PacketizationMode: UInt8, Sendable {
    case singleNALUnit = 0
    case nonInterleaved = 1
}

/// A codec with the parameters that decide whether one side can decode what the other sends.
package enum MediaCodec: Hashable, Sendable {
    case opus
    case red
    case vp8
    case h264(H264Profile, H264PacketizationMode)
    /// Profile 0.
    case vp9
    /// Main profile.
    case av1

    package var name: CodecName {
        switch self {
        case .opus: .opus
        case .red: .red
        case .vp8: .vp8
        case .h264: .h264
        case .vp9: .vp9
        case .av1: .av1
        }
    }

    /// Nil when we do not forward what the payload type carries.
    package init?(_ format: RTPFormat) {
        guard format.isSafeWithRTCPMux, let name = CodecName(encodingName: format.encodingName),
            format.clockRate == name.clockRate, format.channels == name.channels
        else { return nil }
        switch name {
        case .opus: self = .opus
        case .red: self = .red
        case .vp8: self = .vp8
        case .vp9:
            guard format.parameters.value(of: "profile-id") ?? "0" == "0" else { return nil }
            self = .vp9
        case .av1:
            guard format.parameters.value(of: "profile") ?? "0" == "0" else { return nil }
            self = .av1
        case .h264:
            let mode = UInt8(sdpDigits: format.parameters.value(of: "packetization-mode") ?? "0")
            guard let mode = mode.flatMap(H264PacketizationMode.init(rawValue:)),
                let profile = H264Profile(profileLevelID: format.parameters.value(of: "profile-level-id"))
            else { return nil }
            self = .h264(profile, mode)
        }
    }

    package enum Decodability: Int, Comparable, Sendable {
        case none
        /// Another profile or mode of the same codec that covers what is sent.
        case covered
        case exact

        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// Whether a receiver that offered `receiver` can decode this codec.
    ///
    /// A receiver of packetization mode 1 takes mode 0 as well. Baseline and Constrained Baseline cover each other,
    /// because WebRTC encoders use none of the tools in which they differ.
    package func decodability(by receiver: MediaCodec) -> Decodability {
        if self == receiver { return .exact }
        guard case .h264(_, let sent) = self, case .h264(_, let received) = receiver else { return .none }
        return sent.rawValue <= received.rawValue ? .covered : .none
    }
}
