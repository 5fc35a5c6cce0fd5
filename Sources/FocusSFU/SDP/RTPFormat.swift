// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The parameters of an `a=fmtp` line, kept as written: `key=value` pairs parted by semicolons, or a codec's own form.
package struct FormatParameters: Hashable, Sendable {
    package var text: String

    package init(_ text: String = "") {
        self.text = text
    }

    /// The value of the first parameter with this name; names are case-insensitive.
    package func value(of name: String) -> Substring? {
        for pair in text.utf8.split(separator: UInt8(ascii: ";")) {
            let parameter = pair.drop { $0 == UInt8(ascii: " ") }
            guard let equals = parameter.firstIndex(of: UInt8(ascii: "=")) else { continue }
            guard text[parameter.startIndex..<equals].equalsIgnoringCase(name) else { continue }
            let value = text[parameter.index(after: equals)..<parameter.endIndex]
            return Substring(value.utf8.prefix { $0 != UInt8(ascii: " ") })
        }
        return nil
    }
}

/// RTCP feedback messages negotiated for a payload type (RFC 4585 §4.2, RFC 5104 §7.1).
package struct RTCPFeedback: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package static let receiverEstimatedMaximumBitrate = RTCPFeedback(rawValue: 1 << 0)
    package static let transportWideCongestionControl = RTCPFeedback(rawValue: 1 << 1)
    package static let fullIntraRequest = RTCPFeedback(rawValue: 1 << 2)
    package static let nack = RTCPFeedback(rawValue: 1 << 3)
    package static let pictureLossIndication = RTCPFeedback(rawValue: 1 << 4)

    private static let spellings: [(RTCPFeedback, String)] = [
        (.receiverEstimatedMaximumBitrate, "goog-remb"), (.transportWideCongestionControl, "transport-cc"),
        (.fullIntraRequest, "ccm fir"), (.nack, "nack"), (.pictureLossIndication, "nack pli"),
    ]

    /// What follows the payload type in an `a=rtcp-fb` line; empty when we do not know the message.
    init(spelling: String) {
        self = Self.spellings.first { $0.1 == spelling }?.0 ?? []
    }

    /// One spelling for each member.
    var spellings: [String] {
        Self.spellings.filter { contains($0.0) }.map(\.1)
    }
}

/// A payload type of an RTP section with everything `rtpmap`, `fmtp` and `rtcp-fb` say about it (RFC 8866 §6.6, §6.15).
package struct RTPFormat: Equatable, Sendable {
    /// 0 to 127.
    package var payloadType: UInt8
    /// Empty for a static payload type without `a=rtpmap`.
    package var encodingName = ""
    package var clockRate: UInt32 = 0
    package var channels: UInt8 = 1
    package var parameters = FormatParameters()
    package var feedback: RTCPFeedback = []

    init(payloadType: UInt8) {
        self.payloadType = payloadType
    }

    /// Payload types 64 to 95 cannot be told from RTCP on a multiplexed port (RFC 5761 §4).
    var isSafeWithRTCPMux: Bool { !(64...95 ~= payloadType) }

    /// Reads what follows the payload type, as in `opus/48000/2`; false when malformed.
    mutating func readMapping(_ text: some StringProtocol) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { String(Substring(text[$0.startIndex..<$0.endIndex])) }
        guard 2...3 ~= parts.count, !parts[0].isEmpty, let rate = UInt32(sdpDigits: parts[1]), rate > 0 else {
            return false
        }
        var channels: UInt8 = 1
        if parts.count == 3 {
            guard let count = UInt8(sdpDigits: parts[2]), count > 0 else { return false }
            channels = count
        }
        (encodingName, clockRate, self.channels) = (parts[0], rate, channels)
        return true
    }
}
