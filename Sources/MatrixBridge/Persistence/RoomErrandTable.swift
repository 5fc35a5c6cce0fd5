// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The durable list of what the bot has to do, one errand a room.
enum RoomErrandTable {
    /// Rooms that may wait; further ones are refused, so that invitations cannot fill the disk.
    static let maximumCount: Int64 = 10_000

    /// Stores an errand in place of any other of the room.
    ///
    /// - Returns: false when too many wait.
    static func store(_ kind: RoomErrand.Kind, room: RoomID, in connection: SQLiteConnection) throws -> Bool {
        try remove(room: room, in: connection)
        guard try count(in: connection) < maximumCount else { return false }
        try connection.execute(
            "INSERT INTO room_errands (room_id, kind) VALUES (?, ?)", [.text(room.rawValue), .text(kind.rawValue)])
        return true
    }

    /// Those after `sequence`, oldest first.
    static func next(after sequence: Int64, in connection: SQLiteConnection) throws -> RoomErrand? {
        let rows = try connection.execute(
            "SELECT sequence, room_id, kind FROM room_errands WHERE sequence > ? ORDER BY sequence LIMIT 1",
            [.integer(sequence)])
        guard let row = rows.first, let sequence = row[0].integer,
            let room = row[1].text.flatMap(RoomID.init), let kind = row[2].text.flatMap(RoomErrand.Kind.init)
        else { return nil }
        return RoomErrand(sequence: sequence, room: room, kind: kind)
    }

    /// Drops an errand that is over; one that took its place meanwhile stays.
    static func remove(_ errand: RoomErrand, in connection: SQLiteConnection) throws {
        try connection.execute("DELETE FROM room_errands WHERE sequence = ?", [.integer(errand.sequence)])
    }

    static func remove(room: RoomID, in connection: SQLiteConnection) throws {
        try connection.execute("DELETE FROM room_errands WHERE room_id = ?", [.text(room.rawValue)])
    }

    static func count(in connection: SQLiteConnection) throws -> Int64 {
        try connection.execute("SELECT count(*) FROM room_errands").first?.first?.integer ?? 0
    }
}
