// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the streams of a call show: stream id, as in the SDP's `msid` lines, to purpose and mute state.
package struct CallStreamMetadata: Equatable, Sendable {
    package enum Purpose: Equatable, Sendable {
        case userMedia
        case screenShare
        case other
    }

    package struct Stream: Equatable, Sendable {
        package let purpose: Purpose
        package let isAudioMuted: Bool
        package let isVideoMuted: Bool
    }

    /// More streams are not read.
    package static let maximumStreamCount = 64

    package let streams: [String: Stream]

    /// Nil when neither spelling of the member is an object.
    init?(_ content: JSONObject) {
        let member = content["sdp_stream_metadata"] ?? content["org.matrix.msc3077.sdp_stream_metadata"]
        guard let member = member?.object else { return nil }
        var streams: [String: Stream] = [:]
        // Sorted, so that a list over the limit is cut at the same place every time.
        for (id, value) in member.sorted(by: { $0.key < $1.key }).prefix(Self.maximumStreamCount) {
            guard let stream = value.object, id.utf8.count <= MatrixText.maximumByteCount else { continue }
            streams[id] = Stream(
                purpose: Self.purpose(stream["purpose"]),
                isAudioMuted: stream["audio_muted"]?.bool ?? false,
                isVideoMuted: stream["video_muted"]?.bool ?? false,
            )
        }
        self.streams = streams
    }

    private static func purpose(_ value: JSONValue?) -> Purpose {
        switch value?.string {
        case "m.usermedia": .userMedia
        case "m.screenshare": .screenShare
        default: .other
        }
    }
}

/// `m.call.sdp_stream_metadata_changed`: somebody muted, or a stream changed its purpose.
package struct CallStreamMetadataChange: Equatable, Sendable {
    package let header: LegacyCallHeader
    package let metadata: CallStreamMetadata

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        guard let metadata = CallStreamMetadata(event.content) else { throw .missingStreamMetadata }
        self.metadata = metadata
    }
}
