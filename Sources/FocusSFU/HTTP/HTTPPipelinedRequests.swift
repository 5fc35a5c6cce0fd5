// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1

/// What a client has sent ahead of its answers: parsed already, bounded, waiting for its turn. RFC 9112 §9.3.2.
struct HTTPPipelinedRequests {
    enum Entry {
        case part(HTTPServerRequestPart)
        case malformed(HTTPParserError)
        /// Stands behind the last request that found room.
        case tooFarAhead
    }

    /// Whole or partial requests.
    let limit: Int
    private var entries = CircularBuffer<Entry>()
    private var headCount = 0

    init(limit: Int) {
        self.limit = limit
    }

    mutating func append(_ part: HTTPServerRequestPart) {
        guard headCount <= limit else { return }
        if case .head = part { headCount += 1 }
        entries.append(headCount <= limit ? .part(part) : .tooFarAhead)
    }

    mutating func append(_ error: HTTPParserError) {
        entries.append(.malformed(error))
    }

    mutating func next() -> Entry? {
        guard let entry = entries.popFirst() else { return nil }
        if case .part(.head) = entry { headCount -= 1 }
        return entry
    }

    mutating func removeAll() {
        entries.removeAll()
        headCount = 0
    }
}
