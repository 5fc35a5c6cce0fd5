// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// What a participant of a VideoRoom writes; what is nil is left out.
struct JanusRequest: Encodable {
    struct Feed: Encodable, Equatable {
        var feed: UInt64
    }

    /// To the VideoRoom plugin.
    struct Body: Encodable {
        var request: String
        var room: UInt32?
        var ptype: String?
        var id: UInt64?
        /// Streams to receive: all of each publisher's.
        var streams: [Feed]?
        /// Of a new room: how many may send, and with what.
        var publishers: Int?
        var audiocodec: String?
        var videocodec: String?
    }

    var janus: String
    var transaction: String
    var sessionId: UInt64?
    var handleId: UInt64?
    var plugin: String?
    var body: Body?
    var jsep: JanusMessage.Description?

    init(_ janus: String, transaction: JanusSession.Transaction) {
        self.janus = janus
        self.transaction = transaction.rawValue
    }

    /// JSON.
    var text: String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        guard let data = try? encoder.encode(self) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }
}
