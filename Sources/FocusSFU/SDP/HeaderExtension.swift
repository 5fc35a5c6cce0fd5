// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The RTP header extensions (RFC 8285) we know by their URI.
package enum HeaderExtension: UInt8, CaseIterable, Sendable {
    case mid
    case rtpStreamID
    case repairedRTPStreamID
    case audioLevel
    case transportSequenceNumber
    case absoluteSendTime
    case absoluteCaptureTime
    case frameMarking
    case dependencyDescriptor

    package var uri: String {
        switch self {
        case .mid: "urn:ietf:params:rtp-hdrext:sdes:mid"
        case .rtpStreamID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        case .repairedRTPStreamID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
        case .audioLevel: "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
        case .transportSequenceNumber: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
        case .absoluteSendTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        case .absoluteCaptureTime: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
        case .frameMarking: "urn:ietf:params:rtp-hdrext:framemarking"
        case .dependencyDescriptor:
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        }
    }

    package init?(uri: some StringProtocol) {
        guard let known = Self.allCases.first(where: { $0.uri == uri }) else { return nil }
        self = known
    }

    /// The identifier we give it in our own offers: the same in every section of a bundle (RFC 8843 §9.2).
    var offeredID: UInt8 { rawValue + 1 }

    /// What we take from a client that sends media.
    static func receiving(_ kind: MediaDescription.Kind, singleConnection: Bool) -> Set<HeaderExtension> {
        switch kind {
        case .audio:
            return [.mid, .rtpStreamID, .audioLevel, .absoluteCaptureTime]
        case .video:
            let video: Set<HeaderExtension> = [
                .mid, .rtpStreamID, .repairedRTPStreamID, .transportSequenceNumber, .absoluteCaptureTime,
                .frameMarking, .dependencyDescriptor,
            ]
            return singleConnection ? video.union([.absoluteSendTime]) : video
        case .application, .other:
            return []
        }
    }

    /// What we put on media for a client. The dependency descriptor goes out only where the publisher wrote one.
    static func sending(_ track: OutgoingTrack) -> Set<HeaderExtension> {
        guard track.codec.name.kind == .video else { return [.absoluteCaptureTime] }
        let video: Set<HeaderExtension> = [.absoluteSendTime, .absoluteCaptureTime]
        return track.hasDependencyDescriptor ? video.union([.dependencyDescriptor]) : video
    }
}

/// The identifiers of header extensions in one section; zero means not negotiated.
package struct HeaderExtensionIDs: Equatable, Sendable {
    package var mid: UInt8 = 0
    package var rtpStreamID: UInt8 = 0
    package var repairedRTPStreamID: UInt8 = 0
    package var audioLevel: UInt8 = 0
    package var transportSequenceNumber: UInt8 = 0
    package var absoluteSendTime: UInt8 = 0
    package var absoluteCaptureTime: UInt8 = 0
    package var frameMarking: UInt8 = 0
    package var dependencyDescriptor: UInt8 = 0

    package init() {}

    private static func member(_ known: HeaderExtension) -> WritableKeyPath<Self, UInt8> {
        switch known {
        case .mid: \.mid
        case .rtpStreamID: \.rtpStreamID
        case .repairedRTPStreamID: \.repairedRTPStreamID
        case .audioLevel: \.audioLevel
        case .transportSequenceNumber: \.transportSequenceNumber
        case .absoluteSendTime: \.absoluteSendTime
        case .absoluteCaptureTime: \.absoluteCaptureTime
        case .frameMarking: \.frameMarking
        case .dependencyDescriptor: \.dependencyDescriptor
        }
    }

    package subscript(known: HeaderExtension) -> UInt8 {
        get { self[keyPath: Self.member(known)] }
        set { self[keyPath: Self.member(known)] = newValue }
    }
}

/// One `a=extmap` line (RFC 8285 §5) with a URI we know.
package struct ExtensionMapping: Equatable, Sendable {
    /// 1 to 255 without 15.
    package var id: UInt8
    /// Nil when the line gives no direction, which means the section's own.
    package var direction: MediaDirection?
    package var known: HeaderExtension
}
