// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A codec both sides agreed on in one section.
package struct NegotiatedCodec: Equatable, Sendable {
    package var payloadType: UInt8
    package var codec: MediaCodec
    /// As in our own description, or as the peer wrote them before negotiation.
    package var parameters: FormatParameters
    /// RTX (RFC 4588) for this payload type; nil when lost packets come again on the stream itself.
    package var rtxPayloadType: UInt8?
    package var feedback: RTCPFeedback

    package var name: CodecName { codec.name }
    package var clockRate: UInt32 { codec.name.clockRate }
    package var channels: UInt8 { codec.name.channels }
    package var usesNACK: Bool { feedback.contains(.nack) }
    package var usesPLI: Bool { feedback.contains(.pictureLossIndication) }
    package var usesFIR: Bool { feedback.contains(.fullIntraRequest) }
    package var usesTransportCC: Bool { feedback.contains(.transportWideCongestionControl) }

    /// The payload type with its `rtpmap`, `fmtp` and `rtcp-fb` lines, then those of its RTX format.
    func write(into media: inout MediaDescription) {
        media.formats.append("\(payloadType)")
        let channels = channels > 1 ? "/\(channels)" : ""
        media.append(.rtpmap, "\(payloadType) \(name.rawValue)/\(clockRate)\(channels)")
        if !parameters.text.isEmpty { media.append(.fmtp, "\(payloadType) \(parameters.text)") }
        for spelling in feedback.spellings { media.append(.rtcpFeedback, "\(payloadType) \(spelling)") }
        if let rtxPayloadType {
            media.formats.append("\(rtxPayloadType)")
            media.append(.rtpmap, "\(rtxPayloadType) rtx/\(clockRate)")
            media.append(.fmtp, "\(rtxPayloadType) apt=\(payloadType)")
        }
    }
}
