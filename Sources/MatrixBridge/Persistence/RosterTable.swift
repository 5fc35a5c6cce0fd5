// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation

/// The rows from which the call roster is rebuilt.
enum RosterTable {
    /// Applies what a change says about rows; changes about members and calls have none.
    static func store(_ change: RosterChange, in connection: SQLiteConnection) throws {
        switch change {
        case .entryStored(let entry):
            try connection.execute(
                "INSERT OR REPLACE INTO roster_entries (room_id, key, entry) VALUES (?, ?, ?)",
                [
                    .text(entry.id.roomID.rawValue), .text(entry.id.key.storageKey),
                    .blob(Array(try JSONEncoder().encode(entry))),
                ])
        case .entryRemoved(let id):
            try connection.execute(
                "DELETE FROM roster_entries WHERE room_id = ? AND key = ?",
                [.text(id.roomID.rawValue), .text(id.key.storageKey)])
        case .slotStored(let slot):
            try connection.execute(
                "INSERT OR REPLACE INTO roster_slots (room_id, slot_id, slot) VALUES (?, ?, ?)",
                [
                    .text(slot.roomID.rawValue), .text(slot.slotID.description),
                    .blob(Array(try JSONEncoder().encode(slot))),
                ])
        case .slotRemoved(let roomID, let slotID):
            try connection.execute(
                "DELETE FROM roster_slots WHERE room_id = ? AND slot_id = ?",
                [.text(roomID.rawValue), .text(slotID.description)])
        case .callStarted, .memberJoined, .memberUpdated, .memberLeft, .callEnded, .refused:
            return
        }
    }

    /// Everything stored.
    static func load(from connection: SQLiteConnection) throws -> CallRoster {
        let entries = try connection.execute("SELECT entry FROM roster_entries").compactMap { row in
            try row[0].blob.map { try JSONDecoder().decode(RosterEntry.self, from: Data($0)) }
        }
        let slots = try connection.execute("SELECT slot FROM roster_slots").compactMap { row in
            try row[0].blob.map { try JSONDecoder().decode(RTCSlot.self, from: Data($0)) }
        }
        return CallRoster(restoring: entries, slots: slots)
    }
}
