// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Rooms of the focus: when they appear and end, and what may be published in them.
package struct RoomConfiguration: Equatable, Sendable {
    package struct Codec: Equatable, Sendable {
        /// As clients write it: `video/VP8`.
        package var mime: String
        /// The exact format parameters wanted; empty for those of the codec.
        package var formatParameters: String

        package init(mime: String, formatParameters: String = "") {
            self.mime = mime
            self.formatParameters = formatParameters
        }
    }

    /// Whether joining with a token makes a missing room.
    package var createsAutomatically: Bool
    /// How long a room waits for its first participant.
    package var emptyTimeout: Duration
    /// How long a room outlives its last participant.
    package var departureTimeout: Duration
    /// 0 for no limit of its own.
    package var maxParticipants: Int
    package var enabledCodecs: [Codec]
    /// Whether the server may unmute a track that its publisher muted.
    package var allowsRemoteUnmute: Bool

    static let autoCreateKey = ConfigurationKey(
        "room.auto_create", .boolean, default: "true", "make a missing room when somebody joins with a token")
    static let emptyTimeoutKey = ConfigurationKey(
        "room.empty_timeout", .seconds, default: "300", "how long a room waits for its first participant, seconds")
    static let departureTimeoutKey = ConfigurationKey(
        "room.departure_timeout", .seconds, default: "20", "how long a room outlives its last participant, seconds")
    static let maxParticipantsKey = ConfigurationKey(
        "room.max_participants", .integer(0...100_000), default: "0", "participants of one room; 0: no limit")
    static let enabledCodecsKey = ConfigurationKey(
        "room.enabled_codecs", .tree,
        default: "[audio/opus, audio/red, video/VP8, video/H264, video/VP9, video/AV1, video/rtx]",
        example: "[{mime: audio/opus}, {mime: video/VP8}]", "codecs that may be published: mime and fmtp_line")
    static let remoteUnmuteKey = ConfigurationKey(
        "room.enable_remote_unmute", .boolean, default: "false", "let an administrator unmute others")

    static let keys = [
        autoCreateKey, emptyTimeoutKey, departureTimeoutKey, maxParticipantsKey, enabledCodecsKey, remoteUnmuteKey,
    ]

    private static let supportedCodecs = [
        "audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1", "video/rtx",
    ]

    init(reading values: inout ConfigurationReader) {
        self.createsAutomatically = values.boolean(Self.autoCreateKey)
        self.emptyTimeout = values.duration(Self.emptyTimeoutKey)
        self.departureTimeout = values.duration(Self.departureTimeoutKey)
        self.maxParticipants = values.integer(Self.maxParticipantsKey)
        self.enabledCodecs = Self.codecs(&values)
        self.allowsRemoteUnmute = values.boolean(Self.remoteUnmuteKey)
    }

    private static func codecs(_ values: inout ConfigurationReader) -> [Codec] {
        var codecs = supportedCodecs.map { Codec(mime: $0) }
        if let value = values.value(enabledCodecsKey) {
            if case .sequence(let items) = value.node.content {
                codecs = items.compactMap { codec($0, of: value, &values) }
            } else {
                values.fail(enabledCodecsKey, "room.enabled_codecs must be a list, not \(value.node.kindName)")
            }
        }
        let shown = codecs.map { codec in
            FlowText.map(
                [("mime", codec.mime)]
                    + (codec.formatParameters.isEmpty ? [] : [("fmtp_line", FlowText.quoted(codec.formatParameters))]))
        }
        values.record(enabledCodecsKey, "[" + shown.joined(separator: ", ") + "]")
        return codecs
    }

    private static func codec(
        _ node: ConfigurationNode, of value: ConfigurationValues.Value, _ values: inout ConfigurationReader
    ) -> Codec? {
        guard let mime = node.scalar ?? node["mime"]?.scalar else {
            values.fail(enabledCodecsKey, "room.enabled_codecs: an entry has no mime", at: value.origin(of: node))
            return nil
        }
        guard let known = supportedCodecs.first(where: { $0.lowercased() == mime.lowercased() }) else {
            let shown = mime.count <= 40 ? mime : "…"
            values.report(
                ConfigurationFinding(
                    .warning, at: value.origin(of: node), "codec \(shown) is not supported and left out",
                    correction: NearestName.of(mime, in: supportedCodecs).map { "- mime: \($0)" }))
            return nil
        }
        return Codec(mime: known, formatParameters: node["fmtp_line"]?.scalar ?? "")
    }
}
