// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One `a=` line (RFC 8866 §5.13). A nil value is a property attribute such as `a=rtcp-mux`.
package struct SDPAttribute: Hashable, Sendable {
    package struct Name: RawRepresentable, Hashable, Sendable {
        package let rawValue: String

        package init(rawValue: String) {
            self.rawValue = rawValue
        }

        package static let bundleOnly = Name(rawValue: "bundle-only")
        package static let candidate = Name(rawValue: "candidate")
        package static let endOfCandidates = Name(rawValue: "end-of-candidates")
        package static let extmap = Name(rawValue: "extmap")
        package static let extmapAllowMixed = Name(rawValue: "extmap-allow-mixed")
        package static let fingerprint = Name(rawValue: "fingerprint")
        package static let fmtp = Name(rawValue: "fmtp")
        package static let group = Name(rawValue: "group")
        package static let iceLite = Name(rawValue: "ice-lite")
        package static let iceOptions = Name(rawValue: "ice-options")
        package static let icePassword = Name(rawValue: "ice-pwd")
        package static let iceUsernameFragment = Name(rawValue: "ice-ufrag")
        package static let maxMessageSize = Name(rawValue: "max-message-size")
        package static let mid = Name(rawValue: "mid")
        package static let msid = Name(rawValue: "msid")
        package static let msidSemantic = Name(rawValue: "msid-semantic")
        package static let rid = Name(rawValue: "rid")
        package static let rtcpFeedback = Name(rawValue: "rtcp-fb")
        package static let rtcpMux = Name(rawValue: "rtcp-mux")
        package static let rtcpMuxOnly = Name(rawValue: "rtcp-mux-only")
        package static let rtcpReducedSize = Name(rawValue: "rtcp-rsize")
        package static let rtpmap = Name(rawValue: "rtpmap")
        package static let sctpmap = Name(rawValue: "sctpmap")
        package static let sctpPort = Name(rawValue: "sctp-port")
        package static let setup = Name(rawValue: "setup")
        package static let simulcast = Name(rawValue: "simulcast")
        package static let ssrc = Name(rawValue: "ssrc")
        package static let ssrcGroup = Name(rawValue: "ssrc-group")
    }

    package var name: Name
    package var value: String?

    package init(_ name: Name, _ value: String? = nil) {
        self.name = name
        self.value = value
    }
}

/// A session description (RFC 8866) as plain values: what a peer wrote, or what we are about to write.
///
/// Only lines that mean something to offer and answer are kept; times are always `0 0`.
package struct SessionDescription: Equatable, Sendable {
    /// The `o=` line (RFC 8866 §5.2).
    package struct Origin: Equatable, Sendable {
        package var username: String
        package var sessionID: UInt64
        /// Grows with every description of one session.
        package var version: UInt64
        /// Network type, address type and address, as in `IN IP4 127.0.0.1`.
        package var address: String

        package init(
            username: String = "-",
            sessionID: UInt64,
            version: UInt64,
            address: String = "IN IP4 127.0.0.1"
        ) {
            self.username = username
            self.sessionID = sessionID
            self.version = version
            self.address = address
        }
    }

    package var origin: Origin
    package var name: String
    package var connection: String?
    package var bandwidths: [String]
    package var attributes: [SDPAttribute]
    package var media: [MediaDescription]

    package init(
        origin: Origin,
        name: String = "-",
        connection: String? = nil,
        bandwidths: [String] = [],
        attributes: [SDPAttribute] = [],
        media: [MediaDescription] = []
    ) {
        self.origin = origin
        self.name = name
        self.connection = connection
        self.bandwidths = bandwidths
        self.attributes = attributes
        self.media = media
    }
}

/// One `m=` line with the lines that follow it (RFC 8866 §5.14): a media section.
package struct MediaDescription: Equatable, Sendable {
    package enum Kind: Hashable, Sendable {
        case audio
        case video
        /// Data channels, when the protocol is SCTP over DTLS (RFC 8841).
        case application
        case other(String)

        package init(_ text: String) {
            switch text {
            case "audio": self = .audio
            case "video": self = .video
            case "application": self = .application
            default: self = .other(text)
            }
        }

        package var text: String {
            switch self {
            case .audio: "audio"
            case .video: "video"
            case .application: "application"
            case .other(let text): text
            }
        }
    }

    package var kind: Kind
    /// Zero rejects the section, unless it is marked `bundle-only`.
    package var port: UInt16
    /// As in `UDP/TLS/RTP/SAVPF`.
    package var transportProtocol: String
    /// Payload types of RTP sections, `webrtc-datachannel` or an SCTP port in data sections.
    package var formats: [String]
    package var connection: String?
    package var bandwidths: [String]
    package var attributes: [SDPAttribute]

    package init(
        kind: Kind,
        port: UInt16,
        transportProtocol: String,
        formats: [String],
        connection: String? = nil,
        bandwidths: [String] = [],
        attributes: [SDPAttribute] = []
    ) {
        self.kind = kind
        self.port = port
        self.transportProtocol = transportProtocol
        self.formats = formats
        self.connection = connection
        self.bandwidths = bandwidths
        self.attributes = attributes
    }

    package mutating func append(_ name: SDPAttribute.Name, _ value: String? = nil) {
        attributes.append(SDPAttribute(name, value))
    }

    /// RTP keyed by DTLS (RFC 5764), over any transport.
    package var isSecureRTP: Bool {
        switch transportProtocol {
        case "UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF": true
        default: false
        }
    }

    /// SCTP over DTLS (RFC 8841), in the current and the older spelling.
    package var isDataChannel: Bool {
        switch transportProtocol {
        case "UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP": kind == .application
        default: false
        }
    }
}

/// Which way media flows, seen by whoever wrote the section (RFC 8866 §6.7).
package enum MediaDirection: String, Hashable, Sendable {
    case sendrecv
    case sendonly
    case recvonly
    case inactive

    package var sends: Bool { self == .sendrecv || self == .sendonly }
    package var receives: Bool { self == .sendrecv || self == .recvonly }

    /// The same flow seen by the other side.
    package var reversed: MediaDirection {
        switch self {
        case .sendrecv: .sendrecv
        case .sendonly: .recvonly
        case .recvonly: .sendonly
        case .inactive: .inactive
        }
    }
}
