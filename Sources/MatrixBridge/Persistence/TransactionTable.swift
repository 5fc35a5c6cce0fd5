// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A homeserver transaction that is stored and not yet processed.
package struct StoredTransaction: Equatable, Sendable {
    /// Order of arrival.
    package var sequence: Int64
    /// The homeserver's transaction id.
    package var id: String
    /// The request body as received.
    package var body: [UInt8]
    /// When it came, in milliseconds since 1970-01-01 UTC; nil for one of an older version.
    package var receivedAt: Int64?

    package init(sequence: Int64, id: String, body: [UInt8], receivedAt: Int64? = nil) {
        self.sequence = sequence
        self.id = id
        self.body = body
        self.receivedAt = receivedAt
    }
}

/// The durable queue of homeserver transactions, and the memory of those already seen.
enum TransactionTable {
    /// Processed transactions remembered by id and body hash. The homeserver has one in flight, so a repetition is
    /// always recent.
    static let remembered: Int64 = 1_000

    /// Stores a transaction unless the same id with the same body is known.
    ///
    /// The same id with another body is new work: after a failure the homeserver resends with part of the content.
    /// - Returns: false for a repetition.
    static func record(
        id: String, bodyHash: [UInt8], body: [UInt8], receivedAt: Int64? = nil, in connection: SQLiteConnection,
    ) throws -> Bool {
        try connection.execute(
            "INSERT INTO transactions (id, body_hash, body, received_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [.text(id), .blob(bodyHash), .blob(body), receivedAt.map { .integer($0) } ?? .null],
        )
        return connection.changedRowCount > 0
    }

    /// The oldest transaction that was not processed.
    static func nextUnprocessed(in connection: SQLiteConnection) throws -> StoredTransaction? {
        let rows = try connection.execute(
            "SELECT sequence, id, body, received_at FROM transactions WHERE body IS NOT NULL ORDER BY sequence LIMIT 1"
        )
        guard let row = rows.first, let sequence = row[0].integer, let id = row[1].text, let body = row[2].blob else {
            return nil
        }
        return StoredTransaction(sequence: sequence, id: id, body: body, receivedAt: row[3].integer)
    }

    /// The last one that arrived; 0 before the first.
    static func lastSequence(in connection: SQLiteConnection) throws -> Int64 {
        try connection.execute("SELECT coalesce(max(sequence), 0) FROM transactions").first?.first?.integer ?? 0
    }

    /// How many transactions wait.
    static func unprocessedCount(in connection: SQLiteConnection) throws -> Int64 {
        try connection.execute("SELECT count(*) FROM transactions WHERE body IS NOT NULL").first?.first?.integer ?? 0
    }

    /// Drops the body, and everything older than the last ``remembered`` processed transactions.
    static func markProcessed(sequence: Int64, in connection: SQLiteConnection) throws {
        try connection.execute("UPDATE transactions SET body = NULL WHERE sequence = ?", [.integer(sequence)])
        let oldest: [SQLiteValue] = [.integer(sequence - remembered)]
        try connection.execute("DELETE FROM transactions WHERE sequence <= ? AND body IS NULL", oldest)
        try connection.execute("DELETE FROM applied_events WHERE sequence <= ?", oldest)
    }

    /// Notes that an event takes effect with this transaction.
    ///
    /// - Returns: false when it already did with an earlier one.
    static func apply(eventID: String, sequence: Int64, in connection: SQLiteConnection) throws -> Bool {
        try connection.execute(
            "INSERT INTO applied_events (event_id, sequence) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [.text(eventID), .integer(sequence)],
        )
        return connection.changedRowCount > 0
    }
}
