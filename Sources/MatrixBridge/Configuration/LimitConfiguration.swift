// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How much of anything there may be.
package struct LimitConfiguration: Equatable, Sendable {
    /// 0 for no limit, per participant.
    package var videoSubscriptions: Int
    package var audioSubscriptions: Int
    package var metadataBytes: Int
    package var attributesBytes: Int
    package var roomNameBytes: Int
    package var participantIdentityBytes: Int
    package var participantNameBytes: Int
    package var signalMessageBytes: Int
    package var requestBodyBytes: Int
    package var rooms: Int
    package var participants: Int
    package var tracksPerParticipant: Int
    /// Clients that have joined and whose media is not yet connected.
    package var pendingHandshakes: Int

    static let videoSubscriptionsKey = ConfigurationKey(
        "limit.subscription_limit_video", .integer(0...100_000), default: "0",
        "video tracks one participant receives; 0: no limit")
    static let audioSubscriptionsKey = ConfigurationKey(
        "limit.subscription_limit_audio", .integer(0...100_000), default: "0",
        "audio tracks one participant receives; 0: no limit")
    static let metadataKey = ConfigurationKey(
        "limit.max_metadata_size", .integer(0...16_777_216), default: "524288",
        "metadata of a room or participant, bytes")
    static let attributesKey = ConfigurationKey(
        "limit.max_attributes_size", .integer(0...16_777_216), default: "65536", "attributes of a participant, bytes")
    static let roomNameKey = ConfigurationKey(
        "limit.max_room_name_length", .integer(1...4096), default: "256", "name of a room, bytes")
    static let identityKey = ConfigurationKey(
        "limit.max_participant_identity_length", .integer(1...4096), default: "256", "identity of a participant, bytes")
    static let nameKey = ConfigurationKey(
        "limit.max_participant_name_length", .integer(1...4096), default: "256", "name of a participant, bytes")
    static let signalMessageKey = ConfigurationKey(
        "limit.signal_message_size_limit", .integer(65_536...67_108_864), default: "1048576",
        "one signalling message, bytes; metadata, and an offer of all sections, must fit")
    static let requestBodyKey = ConfigurationKey(
        "limit.max_api_request_body_size", .integer(65_536...67_108_864), default: "10485760",
        "body of one API request, bytes")
    static let roomsKey = ConfigurationKey(
        "limit.max_rooms", .integer(1...1_000_000), default: "2000", "rooms at a time")
    static let participantsKey = ConfigurationKey(
        "limit.max_participants", .integer(1...1_000_000), default: "1000", "participants of one room")
    static let tracksKey = ConfigurationKey(
        "limit.max_tracks_per_participant", .integer(1...1000), default: "32", "tracks one participant publishes")
    static let handshakesKey = ConfigurationKey(
        "limit.max_pending_handshakes", .integer(1...100_000), default: "512",
        "clients whose media is not yet connected")

    static let keys = [
        videoSubscriptionsKey, audioSubscriptionsKey, metadataKey, attributesKey, roomNameKey, identityKey, nameKey,
        signalMessageKey, requestBodyKey, roomsKey, participantsKey, tracksKey, handshakesKey,
    ]

    init(reading values: inout ConfigurationReader) {
        self.videoSubscriptions = values.integer(Self.videoSubscriptionsKey)
        self.audioSubscriptions = values.integer(Self.audioSubscriptionsKey)
        self.metadataBytes = values.integer(Self.metadataKey)
        self.attributesBytes = values.integer(Self.attributesKey)
        self.roomNameBytes = values.integer(Self.roomNameKey)
        self.participantIdentityBytes = values.integer(Self.identityKey)
        self.participantNameBytes = values.integer(Self.nameKey)
        self.signalMessageBytes = values.integer(Self.signalMessageKey)
        self.requestBodyBytes = values.integer(Self.requestBodyKey)
        self.rooms = values.integer(Self.roomsKey)
        self.participants = values.integer(Self.participantsKey)
        self.tracksPerParticipant = values.integer(Self.tracksKey)
        self.pendingHandshakes = values.integer(Self.handshakesKey)
    }
}
