// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The delayed leaves that clients handed over, one a participant.
enum DelayedLeaveTable {
    /// Orders held at once; further ones are refused.
    static let maximumCount: Int64 = 20_000
    /// Of them one user's: its devices, and calls that it left without a word.
    static let maximumCountOfUser: Int64 = 64

    /// Stores an order in place of any other of the participant.
    ///
    /// - Returns: false when too many are held, of all users or of this one.
    static func store(_ order: DelayedLeave.Order, in connection: SQLiteConnection) throws -> Bool {
        try remove(order.participant, in: connection)
        let count = try connection.execute("SELECT count(*) FROM delayed_leaves").first?.first?.integer ?? 0
        let own =
            try connection.execute(
                "SELECT count(*) FROM delayed_leaves WHERE user_id = ?", [.text(order.user.rawValue)]
            ).first?.first?.integer ?? 0
        guard count < maximumCount, own < maximumCountOfUser else { return false }
        try connection.execute(
            """
            INSERT INTO delayed_leaves (focus_room, identity, room_id, user_id, delay_id, delay)
            VALUES (?, ?, ?, ?, ?, ?)
            """,
            [
                .text(order.participant.room), .text(order.participant.identity), .text(order.room.rawValue),
                .text(order.user.rawValue), .text(order.delayID), .integer(Int64(clamping: order.delay)),
            ])
        return true
    }

    static func remove(_ participant: FocusParticipant, in connection: SQLiteConnection) throws {
        try connection.execute(
            "DELETE FROM delayed_leaves WHERE focus_room = ? AND identity = ?",
            [.text(participant.room), .text(participant.identity)])
    }

    static func load(from connection: SQLiteConnection) throws -> [DelayedLeave.Order] {
        try connection.execute("SELECT focus_room, identity, room_id, user_id, delay_id, delay FROM delayed_leaves")
            .compactMap { row in
                guard let focusRoom = row[0].text, let identity = row[1].text,
                    let room = row[2].text.flatMap(RoomID.init), let user = row[3].text.flatMap(UserID.init),
                    let delayID = row[4].text, let delay = row[5].integer
                else { return nil }
                return DelayedLeave.Order(
                    delayID: delayID, delay: UInt64(clamping: delay),
                    participant: FocusParticipant(room: focusRoom, identity: identity), room: room, user: user)
            }
    }
}
