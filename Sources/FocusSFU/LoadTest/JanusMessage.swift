// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// What a Janus server writes on its WebSocket, as far as a participant of a VideoRoom acts on it.
///
/// Its API: https://janus.conf.meetecho.com/docs/rest.html; the plugin's, which has the same host, is videoroom.html.
struct JanusMessage: Decodable {
    /// A session description with its type, "offer" or "answer".
    struct Description: Codable, Equatable {
        var type: String
        var sdp: String
    }

    /// What the new session or handle is called.
    struct Made: Decodable {
        var id: UInt64
    }

    struct Refusal: Decodable {
        var code: Int
        var reason: String
    }

    struct Publisher: Decodable {
        var id: UInt64
    }

    struct PluginData: Decodable {
        var data: RoomEvent
    }

    struct RoomEvent: Decodable {
        /// "created", "joined", "attached", "updated", "event", …
        var videoroom: String
        var publishers: [Publisher]?
        var errorCode: Int?
        var error: String?
    }

    /// "success", "ack", "event", "error", "hangup", "timeout", …
    var janus: String
    /// That of the request which this answers.
    var transaction: String?
    var data: Made?
    var plugindata: PluginData?
    var jsep: Description?
    var error: Refusal?
    /// Of a hangup.
    var reason: String?

    /// Nil when the text is no such message.
    init?(_ text: String) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let message = try? decoder.decode(Self.self, from: Data(text.utf8)) else { return nil }
        self = message
    }
}
