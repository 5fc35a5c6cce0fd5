// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import OlmE2EE

/// The rows of ``OlmRecord``.
package struct OlmTable: OlmStore {
    private let connection: SQLiteConnection

    package init(_ connection: SQLiteConnection) {
        self.connection = connection
    }

    package func record(_ kind: OlmRecord.Kind, owner: String, key: String) throws -> OlmRecord? {
        let rows = try connection.execute(
            "SELECT value, touched FROM olm_records WHERE kind = ? AND owner = ? AND key = ?",
            [.text(kind.rawValue), .text(owner), .text(key)])
        guard let row = rows.first, let value = row[0].blob, let touched = row[1].integer else { return nil }
        return OlmRecord(kind, owner: owner, key: key, value: value, touched: touched)
    }

    package func records(_ kind: OlmRecord.Kind, owner: String) throws -> [OlmRecord] {
        try connection.execute(
            "SELECT key, value, touched FROM olm_records WHERE kind = ? AND owner = ? ORDER BY touched DESC, key",
            [.text(kind.rawValue), .text(owner)]
        ).compactMap { row in
            guard let key = row[0].text, let value = row[1].blob, let touched = row[2].integer else { return nil }
            return OlmRecord(kind, owner: owner, key: key, value: value, touched: touched)
        }
    }

    package func owners(_ kind: OlmRecord.Kind) throws -> [String] {
        try connection.execute("SELECT DISTINCT owner FROM olm_records WHERE kind = ?", [.text(kind.rawValue)])
            .compactMap(\.[0].text)
    }

    package func count(_ kind: OlmRecord.Kind) throws -> Int {
        let rows = try connection.execute("SELECT COUNT(*) FROM olm_records WHERE kind = ?", [.text(kind.rawValue)])
        return rows.first.flatMap { $0[0].integer }.map(Int.init) ?? 0
    }

    package func fullestOwner(_ kind: OlmRecord.Kind) throws -> (owner: String, count: Int)? {
        let rows = try connection.execute(
            """
            SELECT owner, COUNT(*) FROM olm_records WHERE kind = ?
                GROUP BY owner ORDER BY COUNT(*) DESC, owner LIMIT 1
            """, [.text(kind.rawValue)])
        guard let row = rows.first, let owner = row[0].text, let count = row[1].integer else { return nil }
        return (owner, Int(count))
    }

    package func put(_ record: OlmRecord) throws {
        try connection.execute(
            "INSERT OR REPLACE INTO olm_records (kind, owner, key, value, touched) VALUES (?, ?, ?, ?, ?)",
            [
                .text(record.kind.rawValue), .text(record.owner), .text(record.key), .blob(record.value),
                .integer(record.touched),
            ])
    }

    package func remove(_ kind: OlmRecord.Kind, owner: String, key: String) throws {
        try connection.execute(
            "DELETE FROM olm_records WHERE kind = ? AND owner = ? AND key = ?",
            [.text(kind.rawValue), .text(owner), .text(key)])
    }

    package func removeAll(_ kind: OlmRecord.Kind, owner: String) throws {
        try connection.execute(
            "DELETE FROM olm_records WHERE kind = ? AND owner = ?", [.text(kind.rawValue), .text(owner)])
    }

    package func trim(_ kind: OlmRecord.Kind, owner: String?, to count: Int) throws {
        if let owner {
            try connection.execute(
                """
                DELETE FROM olm_records WHERE kind = ?1 AND owner = ?2 AND key IN (SELECT key FROM olm_records
                    WHERE kind = ?1 AND owner = ?2 ORDER BY touched DESC, key LIMIT -1 OFFSET ?3)
                """, [.text(kind.rawValue), .text(owner), .integer(Int64(count))])
        } else {
            try connection.execute(
                """
                DELETE FROM olm_records WHERE (kind, owner, key) IN (SELECT kind, owner, key FROM olm_records
                    WHERE kind = ?1 ORDER BY touched DESC LIMIT -1 OFFSET ?2)
                """, [.text(kind.rawValue), .integer(Int64(count))])
        }
    }

    package func removeOlder(_ kind: OlmRecord.Kind, than time: UnixMilliseconds) throws -> Int {
        try connection.execute(
            "DELETE FROM olm_records WHERE kind = ? AND touched < ?", [.text(kind.rawValue), .integer(time)])
        return connection.changedRowCount
    }

    package func clear() throws {
        try connection.execute("DELETE FROM olm_records")
    }
}
