// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("Stored one-to-one calls")
struct LegacyCallStoreTests {
    @Test("what was answered is there until it is over, with its party and its version")
    func roundTrip() async throws {
        let file = try TemporaryDatabase()
        let database = try Database(path: file.path)
        let room = try #require(RoomID("!room:example.com"))
        let ends = [
            LegacyCallEnd(key: LegacyCallKey(roomID: room, callID: "new"), partyID: "PARTY", version: .one),
            LegacyCallEnd(key: LegacyCallKey(roomID: room, callID: "old"), partyID: nil, version: .zero),
        ]
        for end in ends + ends { try await database.transaction { try LegacyCallStore.store(end, in: $0) } }
        #expect(Set(try await database.read { try LegacyCallStore.load(from: $0) }) == Set(ends))
        try await database.transaction { try LegacyCallStore.remove(ends[0], in: $0) }
        #expect(try await database.read { try LegacyCallStore.load(from: $0) } == [ends[1]])
    }
}
