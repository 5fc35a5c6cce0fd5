// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// Who was removed from a call and when, for as long as tokens from before may be good.
enum RevocationTable {
    /// As many as the focus remembers; the oldest are forgotten first.
    static let maximumCount = Int64(RevokedTokens.maximumCount)

    struct Revocation: Equatable, Sendable {
        var participant: FocusParticipant
        var unixSeconds: Int64
    }

    /// Stores a removal and forgets those that no token can need any more.
    static func store(
        _ revocation: Revocation, in connection: SQLiteConnection, maximumCount: Int64 = maximumCount
    ) throws {
        try connection.execute(
            """
            INSERT INTO revocations (focus_room, identity, revoked_at) VALUES (?, ?, ?)
            ON CONFLICT (focus_room, identity) DO UPDATE SET revoked_at = max(revoked_at, excluded.revoked_at)
            """,
            [
                .text(revocation.participant.room), .text(revocation.participant.identity),
                .integer(revocation.unixSeconds),
            ])
        try connection.execute(
            "DELETE FROM revocations WHERE revoked_at < ?",
            [.integer(revocation.unixSeconds - RevokedTokens.memorySeconds)])
        try connection.execute(
            """
            DELETE FROM revocations WHERE (focus_room, identity) IN
                (SELECT focus_room, identity FROM revocations ORDER BY revoked_at DESC LIMIT -1 OFFSET ?)
            """, [.integer(maximumCount)])
    }

    /// Oldest first.
    static func load(from connection: SQLiteConnection) throws -> [Revocation] {
        try connection.execute("SELECT focus_room, identity, revoked_at FROM revocations ORDER BY revoked_at")
            .compactMap { row in
                guard let room = row[0].text, let identity = row[1].text, let time = row[2].integer else { return nil }
                return Revocation(participant: FocusParticipant(room: room, identity: identity), unixSeconds: time)
            }
    }
}
