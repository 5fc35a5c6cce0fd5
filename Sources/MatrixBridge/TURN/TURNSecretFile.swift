// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc
import TURNCreds

/// The secrets of all realms on the disk: a SQLite file of its own, for its owner only (mode 0600).
///
/// Several processes may use it: each change is one write transaction that reads what is there first, so nobody works
/// on what another one has changed meanwhile. Not thread safe.
final class TURNSecretFile {
    private static let version: Int64 = 1

    private let connection: SQLiteConnection

    /// The file in the data directory.
    static func path(in dataDirectory: String) -> String { dataDirectory + "/turn.db" }

    /// Opens or creates the file.
    ///
    /// - Throws: ``SQLiteError`` or ``SchemaError``.
    init(path: String) throws {
        // SQLite's other files take the mode of this one.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            fchmod(descriptor, 0o600)
            close(descriptor)
        }
        connection = try SQLiteConnection(path: path)
        try connection.execute("PRAGMA secure_delete=ON")
        // Another process may be waiting for a store that is down, with its change half done.
        try connection.execute("PRAGMA busy_timeout=20000")
        let found = try connection.execute("PRAGMA user_version").first?.first?.integer ?? 0
        guard found <= Self.version else {
            throw SchemaError.newerThanThisVersion(found: found, supported: Self.version)
        }
        try connection.transaction { connection in
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS turn_secrets (
                    sequence INTEGER PRIMARY KEY,
                    realm TEXT NOT NULL,
                    secret TEXT NOT NULL,
                    phase TEXT NOT NULL,
                    until INTEGER,
                    created INTEGER NOT NULL,
                    longest_lifetime INTEGER NOT NULL,
                    UNIQUE (realm, secret)
                )
                """)
            // A pragma takes no parameters; the number is ours.
            try connection.execute("PRAGMA user_version = \(Self.version)")
        }
    }

    /// The secrets of a realm.
    func ring(of realm: String, overlapSeconds: Int64) throws -> SecretRing {
        let rows = try connection.execute(
            """
            SELECT secret, phase, until, created, longest_lifetime FROM turn_secrets WHERE realm = ? ORDER BY sequence
            """, [.text(realm)])
        let secrets = rows.compactMap { row -> KeptSecret? in
            guard let secret = row[0].text.flatMap(TURNSecret.init), let name = row[1].text,
                let phase = KeptSecret.Phase(name: name, until: row[2].integer), let created = row[3].integer,
                let lifetime = row[4].integer
            else { return nil }
            return KeptSecret(secret: secret, phase: phase, created: created, longestLifetime: lifetime)
        }
        return SecretRing(secrets: secrets, overlapSeconds: overlapSeconds)
    }

    /// Changes the secrets of a realm: durable when this returns, undone when `body` throws. No other process changes
    /// anything meanwhile.
    func change<Result>(
        _ realm: String, overlapSeconds: Int64, _ body: (inout SecretRing) throws -> Result
    ) throws -> Result {
        try connection.transaction { connection in
            let former = try self.ring(of: realm, overlapSeconds: overlapSeconds)
            var ring = former
            let result = try body(&ring)
            guard ring != former else { return result }
            try connection.execute("DELETE FROM turn_secrets WHERE realm = ?", [.text(realm)])
            for kept in ring.secrets {
                try connection.execute(
                    """
                    INSERT INTO turn_secrets (realm, secret, phase, until, created, longest_lifetime)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """,
                    [
                        .text(realm), .text(kept.secret.exposed), .text(kept.phase.name),
                        kept.retiringUntil.map(SQLiteValue.integer) ?? .null, .integer(kept.created),
                        .integer(kept.longestLifetime),
                    ])
            }
            return result
        }
    }
}

extension KeptSecret.Phase {
    /// In the file and for people.
    var name: String {
        switch self {
        case .adding(let revokes): revokes ? "adding_to_revoke" : "adding"
        case .current: "current"
        case .retiring: "retiring"
        }
    }

    fileprivate init?(name: String, until: Int64?) {
        switch (name, until) {
        case ("adding", _): self = .adding(revokes: false)
        case ("adding_to_revoke", _): self = .adding(revokes: true)
        case ("current", _): self = .current
        case ("retiring", .some(let until)): self = .retiring(until: until)
        default: return nil
        }
    }
}
