// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CSQLite

/// One value of a row or of a statement's parameters.
package enum SQLiteValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    package var integer: Int64? {
        if case .integer(let value) = self { value } else { nil }
    }

    package var text: String? {
        if case .text(let value) = self { value } else { nil }
    }

    package var blob: [UInt8]? {
        if case .blob(let value) = self { value } else { nil }
    }
}

/// Why SQLite refused.
package struct SQLiteError: Error, Equatable, CustomStringConvertible {
    /// The extended result code, for example 13 (disk full) or 19 and its variants (constraint).
    package var code: Int32
    /// SQLite's own sentence; it names tables and columns, never values.
    package var message: String

    package var description: String { "SQLite error \(code): \(message)" }
}

/// A synchronous connection to one SQLite file. Not thread safe: ``Database`` owns it and serialises its use.
///
/// Prepared statements are kept by their SQL text, so statements must be constants with parameters and the number of
/// distinct texts stays small.
package final class SQLiteConnection {
    private var handle: OpaquePointer?
    private var statements: [String: OpaquePointer] = [:]

    /// Opens or creates the file; `:memory:` gives a private database that dies with the connection.
    ///
    /// WAL with `synchronous=FULL`: a committed transaction is on the disk when ``transaction(_:)`` returns.
    package convenience init(path: String) throws(SQLiteError) {
        try self.init(path: path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        try execute("PRAGMA journal_mode=WAL")
        try execute("PRAGMA synchronous=FULL")
        try execute("PRAGMA foreign_keys=ON")
        // A large transaction makes the log grow; the next checkpoint gives the space back.
        try execute("PRAGMA journal_size_limit=\(Self.journalByteCount)")
    }

    /// Opens a file that must exist, to read only; another process may be writing to it.
    package convenience init(readingPath path: String) throws(SQLiteError) {
        try self.init(path: path, flags: SQLITE_OPEN_READONLY)
    }

    /// Opens somebody else's file, which must exist, to read and write; its journal stays as its owner wants it.
    package convenience init(foreignPath path: String) throws(SQLiteError) {
        try self.init(path: path, flags: SQLITE_OPEN_READWRITE)
    }

    /// What the write-ahead log keeps on the disk between checkpoints, which SQLite makes every 1,000 pages.
    package static let journalByteCount = 8 << 20

    private init(path: String, flags: Int32) throws(SQLiteError) {
        let result = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard result == SQLITE_OK else {
            let error = SQLiteError(code: result, message: String(cString: sqlite3_errstr(result)))
            sqlite3_close_v2(handle)
            throw error
        }
        sqlite3_busy_timeout(handle, 5_000)
    }

    deinit {
        for statement in statements.values {
            sqlite3_finalize(statement)
        }
        sqlite3_close_v2(handle)
    }

    /// Runs a statement and returns its rows.
    @discardableResult
    package func execute(_ sql: String, _ values: [SQLiteValue] = []) throws(SQLiteError) -> [[SQLiteValue]] {
        let statement = try prepared(sql)
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() {
            try check(bind(value, at: Int32(index + 1), of: statement))
        }
        var rows: [[SQLiteValue]] = []
        while true {
            let result = sqlite3_step(statement)
            if result == SQLITE_DONE { return rows }
            guard result == SQLITE_ROW else { throw error(result) }
            rows.append((0..<sqlite3_column_count(statement)).map { column(statement, $0) })
        }
    }

    /// Rows changed by the last statement that changes rows.
    package var changedRowCount: Int { Int(sqlite3_changes(handle)) }

    /// Runs `body` in one write transaction: durable when this returns, undone when `body` throws.
    package func transaction<Result>(_ body: (SQLiteConnection) throws -> Result) throws -> Result {
        try execute("BEGIN IMMEDIATE")
        do {
            let result = try body(self)
            try execute("COMMIT")
            return result
        } catch {
            // SQLite ends the transaction by itself after some errors (a full disk); a second end is refused.
            if sqlite3_get_autocommit(handle) == 0 {
                try execute("ROLLBACK")
            }
            throw error
        }
    }

    private func prepared(_ sql: String) throws(SQLiteError) -> OpaquePointer {
        if let statement = statements[sql] { return statement }
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil))
        guard let statement else {
            throw SQLiteError(code: SQLITE_MISUSE, message: "an empty statement")
        }
        statements[sql] = statement
        return statement
    }

    private func bind(_ value: SQLiteValue, at index: Int32, of statement: OpaquePointer) -> Int32 {
        switch value {
        case .null:
            sqlite3_bind_null(statement, index)
        case .integer(let integer):
            sqlite3_bind_int64(statement, index, integer)
        case .text(let text):
            CSQLite_bindText(statement, index, text, Int32(clamping: text.utf8.count))
        case .blob(let bytes):
            bytes.withUnsafeBytes { CSQLite_bindBlob(statement, index, $0.baseAddress, Int32(clamping: $0.count)) }
        }
    }

    private func column(_ statement: OpaquePointer, _ index: Int32) -> SQLiteValue {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER:
            return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_TEXT:
            guard let text = sqlite3_column_text(statement, index) else { return .null }
            let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(statement, index)))
            return .text(String(decoding: bytes, as: UTF8.self))
        case SQLITE_BLOB:
            let count = Int(sqlite3_column_bytes(statement, index))
            guard let bytes = sqlite3_column_blob(statement, index) else { return .blob([]) }
            return .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: count)))
        default:
            return .null
        }
    }

    private func check(_ result: Int32) throws(SQLiteError) {
        guard result == SQLITE_OK else { throw error(result) }
    }

    private func error(_ result: Int32) -> SQLiteError {
        SQLiteError(code: result, message: String(cString: sqlite3_errmsg(handle)))
    }
}
