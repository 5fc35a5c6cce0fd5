// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a database file cannot be used.
package enum SchemaError: Error, Equatable, CustomStringConvertible {
    /// A newer Callbridge wrote the file; going back would lose what it stored.
    case newerThanThisVersion(found: Int64, supported: Int64)
    /// A reader that must not change the file finds other tables than it knows.
    case otherThanThisVersion(found: Int64, expected: Int64)

    package var description: String {
        switch self {
        case .newerThanThisVersion(let found, let supported):
            "the database has schema \(found), this version knows up to \(supported); run the newer version"
        case .otherThanThisVersion(let found, let expected):
            "the database has schema \(found), this version reads \(expected)"
        }
    }
}

/// The tables, as a list of forward-only steps. `PRAGMA user_version` holds the number of steps already taken.
package enum Schema {
    /// Every step is final once released: a change is a new step at the end.
    private static let steps: [[String]] = [
        [
            // `body` becomes null once processed: only the hash is needed to recognise a repetition.
            """
            CREATE TABLE transactions (
                sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                id TEXT NOT NULL,
                body_hash BLOB NOT NULL,
                body BLOB,
                UNIQUE (id, body_hash)
            )
            """,
            "CREATE INDEX transactions_unprocessed ON transactions (sequence) WHERE body IS NOT NULL",
            // Events that already took effect: a resent transaction may carry part of an earlier one.
            """
            CREATE TABLE applied_events (
                event_id TEXT PRIMARY KEY,
                sequence INTEGER NOT NULL
            ) WITHOUT ROWID
            """,
            "CREATE INDEX applied_events_sequence ON applied_events (sequence)",
            // One row an entry or slot of the roster, as JSON; the keys are those by which the roster replaces them.
            """
            CREATE TABLE roster_entries (
                room_id TEXT NOT NULL,
                key TEXT NOT NULL,
                entry BLOB NOT NULL,
                PRIMARY KEY (room_id, key)
            ) WITHOUT ROWID
            """,
            """
            CREATE TABLE roster_slots (
                room_id TEXT NOT NULL,
                slot_id TEXT NOT NULL,
                slot BLOB NOT NULL,
                PRIMARY KEY (room_id, slot_id)
            ) WITHOUT ROWID
            """,
        ],
        [
            // What the bot has to do at the homeserver: one errand a room, the latest.
            """
            CREATE TABLE room_errands (
                sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                room_id TEXT NOT NULL UNIQUE,
                kind TEXT NOT NULL
            )
            """
        ],
        [
            // Delayed leaves that clients handed over, one a participant.
            """
            CREATE TABLE delayed_leaves (
                focus_room TEXT NOT NULL,
                identity TEXT NOT NULL,
                room_id TEXT NOT NULL,
                user_id TEXT NOT NULL,
                delay_id TEXT NOT NULL,
                delay INTEGER NOT NULL,
                PRIMARY KEY (focus_room, identity)
            ) WITHOUT ROWID
            """
        ],
        [
            // Who was removed from calls, in Unix seconds; the tokens from before must stay void after a restart.
            """
            CREATE TABLE revocations (
                focus_room TEXT NOT NULL,
                identity TEXT NOT NULL,
                revoked_at INTEGER NOT NULL,
                PRIMARY KEY (focus_room, identity)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX revocations_time ON revocations (revoked_at)",
        ],
        [
            // Legs of ours in calls, one a room; times in milliseconds since 1970-01-01 UTC.
            """
            CREATE TABLE call_legs (
                room_id TEXT PRIMARY KEY,
                room_version TEXT NOT NULL,
                is_wanted INTEGER NOT NULL,
                device_id TEXT NOT NULL,
                started_at INTEGER NOT NULL,
                delay_id TEXT,
                created_at INTEGER,
                expires INTEGER NOT NULL
            ) WITHOUT ROWID
            """
        ],
        [
            // What the bot's encrypted device remembers; keys are pickles, encrypted with a key outside this file.
            """
            CREATE TABLE olm_records (
                kind TEXT NOT NULL,
                owner TEXT NOT NULL,
                key TEXT NOT NULL,
                value BLOB NOT NULL,
                touched INTEGER NOT NULL,
                PRIMARY KEY (kind, owner, key)
            ) WITHOUT ROWID
            """,
            "CREATE INDEX olm_records_touched ON olm_records (kind, touched)",
        ],
        [
            // One-to-one calls that were answered; whoever is in one when this process dies must be told.
            """
            CREATE TABLE legacy_calls (
                room_id TEXT NOT NULL,
                call_id TEXT NOT NULL,
                party_id TEXT,
                PRIMARY KEY (room_id, call_id)
            ) WITHOUT ROWID
            """
        ],
        [
            // When it came, in milliseconds since 1970-01-01 UTC: the ages in it are of that moment.
            "ALTER TABLE transactions ADD COLUMN received_at INTEGER"
        ],
    ]

    /// The number that this version writes.
    static var version: Int64 { Int64(steps.count) }

    /// The number in a file.
    static func version(of connection: SQLiteConnection) throws -> Int64 {
        try connection.execute("PRAGMA user_version").first?.first?.integer ?? 0
    }

    /// Takes the missing steps, each in its own transaction.
    static func migrate(_ connection: SQLiteConnection) throws {
        let supported = version
        let found = try version(of: connection)
        guard found <= supported else {
            throw SchemaError.newerThanThisVersion(found: found, supported: supported)
        }
        for (index, statements) in steps.enumerated() where Int64(index) >= found {
            try connection.transaction { connection in
                for statement in statements {
                    try connection.execute(statement)
                }
                // A pragma takes no parameters; the number is ours.
                try connection.execute("PRAGMA user_version = \(index + 1)")
            }
        }
    }
}
