// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a token's bearer may do: its `video` claim.
///
/// For the optional values absent and false differ; the `may…` properties apply the defaults.
package struct VideoGrant: Equatable, Sendable {
    /// Create and delete rooms; also lets a join create the room where rooms do not come by themselves.
    package var roomCreate = false
    package var roomList = false
    package var roomRecord = false
    /// Everything about the participants of ``room``.
    package var roomAdmin = false
    /// Join by signal socket.
    package var roomJoin = false
    /// The one room that is meant; a name asked for elsewhere does not count beside it.
    package var room = ""
    package var destinationRoom = ""
    package var canPublish: Bool?
    package var canSubscribe: Bool?
    package var canPublishData: Bool?
    /// Names of track sources in lower case; none means all.
    package var canPublishSources: [String] = []
    package var canUpdateOwnMetadata: Bool?
    package var canSubscribeMetrics: Bool?
    package var canManageAgentSession: Bool?
    package var ingressAdmin = false
    /// Others do not see this participant.
    package var hidden = false
    /// The room counts as recorded while this participant is in.
    package var recorder = false
    package var agent = false

    package init() {}

    package var mayPublish: Bool { canPublish ?? true }
    package var maySubscribe: Bool { canSubscribe ?? true }
    /// Follows ``mayPublish`` unless it is set.
    package var mayPublishData: Bool { canPublishData ?? mayPublish }
    package var mayUpdateOwnMetadata: Bool { canUpdateOwnMetadata ?? false }
    package var maySubscribeMetrics: Bool { canSubscribeMetrics ?? false }
    package var mayManageAgentSession: Bool { canManageAgentSession ?? false }

    /// Whether tracks of a source may be published: camera, microphone, screen_share or screen_share_audio.
    package func mayPublish(source: String) -> Bool {
        mayPublish && (canPublishSources.isEmpty || canPublishSources.contains(source.lowercased()))
    }

    /// Whether the participants of `room` may be administered.
    package func mayAdminister(room: String) -> Bool {
        roomAdmin && !self.room.isEmpty && self.room == room
    }
}

extension VideoGrant: Codable {
    private enum CodingKeys: String, CodingKey {
        case roomCreate, roomList, roomRecord, roomAdmin, roomJoin, room, destinationRoom
        case canPublish, canSubscribe, canPublishData, canPublishSources
        case canUpdateOwnMetadata, canSubscribeMetrics, canManageAgentSession
        case ingressAdmin, hidden, recorder, agent
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func flag(_ key: CodingKeys) throws -> Bool { try values.decodeIfPresent(Bool.self, forKey: key) ?? false }
        func text(_ key: CodingKeys) throws -> String { try values.decodeIfPresent(String.self, forKey: key) ?? "" }

        roomCreate = try flag(.roomCreate)
        roomList = try flag(.roomList)
        roomRecord = try flag(.roomRecord)
        roomAdmin = try flag(.roomAdmin)
        roomJoin = try flag(.roomJoin)
        room = try text(.room)
        destinationRoom = try text(.destinationRoom)
        canPublish = try values.decodeIfPresent(Bool.self, forKey: .canPublish)
        canSubscribe = try values.decodeIfPresent(Bool.self, forKey: .canSubscribe)
        canPublishData = try values.decodeIfPresent(Bool.self, forKey: .canPublishData)
        canPublishSources = try values.decodeIfPresent([String].self, forKey: .canPublishSources) ?? []
        canUpdateOwnMetadata = try values.decodeIfPresent(Bool.self, forKey: .canUpdateOwnMetadata)
        canSubscribeMetrics = try values.decodeIfPresent(Bool.self, forKey: .canSubscribeMetrics)
        canManageAgentSession = try values.decodeIfPresent(Bool.self, forKey: .canManageAgentSession)
        ingressAdmin = try flag(.ingressAdmin)
        hidden = try flag(.hidden)
        recorder = try flag(.recorder)
        agent = try flag(.agent)
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        func put(_ flag: Bool, _ key: CodingKeys) throws {
            if flag { try values.encode(true, forKey: key) }
        }
        func put(_ text: String, _ key: CodingKeys) throws {
            if !text.isEmpty { try values.encode(text, forKey: key) }
        }

        try put(roomCreate, .roomCreate)
        try put(roomList, .roomList)
        try put(roomRecord, .roomRecord)
        try put(roomAdmin, .roomAdmin)
        try put(roomJoin, .roomJoin)
        try put(room, .room)
        try put(destinationRoom, .destinationRoom)
        try values.encodeIfPresent(canPublish, forKey: .canPublish)
        try values.encodeIfPresent(canSubscribe, forKey: .canSubscribe)
        try values.encodeIfPresent(canPublishData, forKey: .canPublishData)
        if !canPublishSources.isEmpty { try values.encode(canPublishSources, forKey: .canPublishSources) }
        try values.encodeIfPresent(canUpdateOwnMetadata, forKey: .canUpdateOwnMetadata)
        try values.encodeIfPresent(canSubscribeMetrics, forKey: .canSubscribeMetrics)
        try values.encodeIfPresent(canManageAgentSession, forKey: .canManageAgentSession)
        try put(ingressAdmin, .ingressAdmin)
        try put(hidden, .hidden)
        try put(recorder, .recorder)
        try put(agent, .agent)
    }
}
