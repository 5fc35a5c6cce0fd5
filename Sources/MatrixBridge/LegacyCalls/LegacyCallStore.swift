// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The one-to-one calls that were answered and not hung up, so that no caller waits for a process that died.
enum LegacyCallStore {
    static func store(_ end: LegacyCallEnd, in connection: SQLiteConnection) throws {
        try connection.execute(
            "INSERT OR REPLACE INTO legacy_calls (room_id, call_id, party_id) VALUES (?, ?, ?)",
            [.text(end.key.roomID.rawValue), .text(end.key.callID), end.partyID.map { .text($0) } ?? .null])
    }

    static func remove(_ end: LegacyCallEnd, in connection: SQLiteConnection) throws {
        try connection.execute(
            "DELETE FROM legacy_calls WHERE room_id = ? AND call_id = ?",
            [.text(end.key.roomID.rawValue), .text(end.key.callID)])
    }

    static func load(from connection: SQLiteConnection) throws -> [LegacyCallEnd] {
        try connection.execute("SELECT room_id, call_id, party_id FROM legacy_calls").compactMap { row in
            guard let room = row[0].text.flatMap(RoomID.init), let call = row[1].text else { return nil }
            // Only version 0 has no party.
            return LegacyCallEnd(
                key: LegacyCallKey(roomID: room, callID: call), partyID: row[2].text,
                version: row[2].text == nil ? .zero : .one)
        }
    }
}
