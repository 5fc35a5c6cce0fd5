// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The legs that somebody wanted, one a room, with what is needed to go on or to clear up after a crash.
enum LegTable {
    struct Row: Equatable, Sendable {
        var room: RoomID
        var roomVersion: String
        /// False once the leg shall end: only its membership is left to be taken back.
        var isWanted: Bool
        var device: DeviceID
        var startedAt: UnixMilliseconds
        var record: LegMembership.Record
    }

    /// Stores a leg in place of what is known of its room.
    static func store(_ row: Row, in connection: SQLiteConnection) throws {
        try connection.execute(
            """
            INSERT OR REPLACE INTO call_legs
                (room_id, room_version, is_wanted, device_id, started_at, delay_id, created_at, expires)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .text(row.room.rawValue), .text(row.roomVersion), .integer(row.isWanted ? 1 : 0),
                .text(row.device.rawValue), .integer(row.startedAt), row.record.delayID.map { .text($0) } ?? .null,
                row.record.createdAt.map { .integer($0) } ?? .null, .integer(row.record.expires),
            ])
    }

    static func remove(_ room: RoomID, in connection: SQLiteConnection) throws {
        try connection.execute("DELETE FROM call_legs WHERE room_id = ?", [.text(room.rawValue)])
    }

    static func load(from connection: SQLiteConnection) throws -> [Row] {
        try connection.execute(
            """
            SELECT room_id, room_version, is_wanted, device_id, started_at, delay_id, created_at, expires
            FROM call_legs
            """
        ).compactMap { row in
            guard let room = row[0].text.flatMap(RoomID.init), let version = row[1].text,
                let isWanted = row[2].integer, let device = row[3].text.flatMap(DeviceID.init),
                let startedAt = row[4].integer, let expires = row[7].integer
            else { return nil }
            return Row(
                room: room, roomVersion: version, isWanted: isWanted != 0, device: device,
                startedAt: startedAt,
                record: LegMembership.Record(
                    delayID: row[5].text, createdAt: row[6].integer, expires: expires))
        }
    }
}
