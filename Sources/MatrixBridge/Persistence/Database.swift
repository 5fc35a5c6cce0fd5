// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The one owner of the SQLite file. Work on it is serialised and runs on a thread of its own, because a commit waits
/// for the disk and must not hold a thread of the cooperative pool.
package actor Database {
    private let queue: SerialQueueExecutor
    /// Used on the queue only: by isolated methods, and by ``transactionInPlace(_:)``, which checks.
    private nonisolated(unsafe) let connection: SQLiteConnection

    package nonisolated var unownedExecutor: UnownedSerialExecutor { queue.asUnownedSerialExecutor() }

    /// The file in the data directory.
    package static func path(in dataDirectory: String) -> String { dataDirectory + "/callbridge.db" }

    /// Opens the file and brings its schema up to date.
    ///
    /// - Throws: ``SQLiteError`` or ``SchemaError``.
    package init(path: String) throws {
        let connection = try SQLiteConnection(path: path)
        try Schema.migrate(connection)
        self.connection = connection
        self.queue = SerialQueueExecutor(label: "callbridge.database")
    }

    /// Runs `body` in one write transaction: durable when this returns, undone when `body` throws.
    package func transaction<Result: Sendable>(
        _ body: @Sendable (SQLiteConnection) throws -> Result
    ) throws -> Result {
        try connection.transaction(body)
    }

    /// The same for an actor that shares this executor and stands in the middle of a change of its own: without a
    /// suspension between what it holds and what it stores.
    package nonisolated func transactionInPlace<Result>(_ body: (SQLiteConnection) throws -> Result) throws -> Result {
        preconditionIsolated("the caller must share the database's executor")
        return try connection.transaction(body)
    }

    /// The connection, for an actor that shares this executor and is called within a transaction of another.
    package nonisolated var connectionInPlace: SQLiteConnection {
        preconditionIsolated("the caller must share the database's executor")
        return connection
    }

    /// Runs `body` outside a transaction; for reading.
    package func read<Result: Sendable>(_ body: @Sendable (SQLiteConnection) throws -> Result) throws -> Result {
        try body(connection)
    }
}
