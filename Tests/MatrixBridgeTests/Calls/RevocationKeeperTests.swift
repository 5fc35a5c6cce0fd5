// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import Testing

@testable import MatrixBridge

@Suite("Removals from calls, beyond a restart")
struct RevocationKeeperTests {
    static let alice = FocusParticipant(room: "call", identity: "alice")

    static func keeper(_ path: String, _ clock: ManualClock) throws -> RevocationKeeper {
        RevocationKeeper(
            database: try Database(path: path), clock: clock.clock,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    static func stored(_ keeper: RevocationKeeper) async throws -> [RevocationTable.Revocation] {
        var found: [RevocationTable.Revocation] = []
        try await keeper.restore { found.append(.init(participant: $0, unixSeconds: $1)) }
        return found
    }

    @Test("a removal is there after a restart, with its latest time, until no token can be older")
    func restart() async throws {
        let file = try TemporaryDatabase()
        let clock = ManualClock()
        let first = try Self.keeper(file.path, clock)
        let bob = FocusParticipant(room: "call", identity: "bob")
        await first.note(Self.alice)
        await first.note(bob)
        clock.advance(milliseconds: 5_000)
        await first.note(Self.alice)
        let now = clock.clock.unixMilliseconds() / 1_000
        let second = try Self.keeper(file.path, clock)
        #expect(
            try await Self.stored(second) == [
                .init(participant: bob, unixSeconds: now - 5), .init(participant: Self.alice, unixSeconds: now),
            ])
        clock.advance(milliseconds: UInt64(RevokedTokens.memorySeconds) * 1_000)
        await second.note(bob)
        #expect(try await Self.stored(second).map(\.participant) == [Self.alice, bob])
        clock.advance(milliseconds: 1_000)
        await second.note(bob)
        #expect(try await Self.stored(second).map(\.participant) == [bob])
    }

    @Test("the oldest give way when there are too many")
    func bounded() throws {
        let connection = try SQLiteConnection(path: ":memory:")
        try Schema.migrate(connection)
        try connection.transaction { connection in
            for number in Int64(0)...10 {
                try RevocationTable.store(
                    .init(participant: .init(room: "call", identity: "\(number)"), unixSeconds: 1_000 + number),
                    in: connection, maximumCount: 10)
            }
        }
        let stored = try RevocationTable.load(from: connection)
        #expect(stored.count == 10)
        #expect(stored.first?.participant.identity == "1")
    }
}
