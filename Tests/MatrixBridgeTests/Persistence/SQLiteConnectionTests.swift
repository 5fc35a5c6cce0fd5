// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import MatrixBridge
import Testing

@Suite("SQLite connection")
struct SQLiteConnectionTests {
    struct Crash: Error {}

    @Test("every kind of value comes back as it went in")
    func values() throws {
        let connection = try SQLiteConnection(path: ":memory:")
        try connection.execute("CREATE TABLE t (v)")
        let values: [SQLiteValue] = [
            .null, .integer(.min), .integer(.max), .text(""), .text("ü\u{0}x"), .blob([]), .blob([0, 255, 0]),
        ]
        for value in values {
            try connection.execute("DELETE FROM t")
            try connection.execute("INSERT INTO t VALUES (?)", [value])
            #expect(try connection.execute("SELECT v FROM t") == [[value]])
        }
    }

    @Test("a transaction that throws leaves nothing behind")
    func rollback() throws {
        let connection = try SQLiteConnection(path: ":memory:")
        try connection.execute("CREATE TABLE t (v)")
        #expect(throws: Crash.self) {
            try connection.transaction { connection in
                try connection.execute("INSERT INTO t VALUES (1)")
                throw Crash()
            }
        }
        #expect(try connection.execute("SELECT * FROM t").isEmpty)
        try connection.transaction { _ = try $0.execute("INSERT INTO t VALUES (2)") }
        #expect(try connection.execute("SELECT v FROM t") == [[.integer(2)]])
    }

    @Test("a faulty statement is an error with SQLite's reason")
    func faulty() throws {
        let connection = try SQLiteConnection(path: ":memory:")
        let error = #expect(throws: SQLiteError.self) { try connection.execute("SELECT x FROM nowhere") }
        #expect(error?.message == "no such table: nowhere")
        #expect(throws: SQLiteError.self) { try connection.execute("") }
    }

    @Test("a reader sees what was committed while the writer goes on, and cannot write")
    func reading() throws {
        let file = try TemporaryDatabase()
        #expect(throws: SQLiteError.self) { _ = try SQLiteConnection(readingPath: file.path) }
        let writer = try SQLiteConnection(path: file.path)
        try writer.execute("CREATE TABLE t (v)")
        let reader = try SQLiteConnection(readingPath: file.path)
        try writer.transaction { writer in
            try writer.execute("INSERT INTO t VALUES (1)")
            #expect(try reader.execute("SELECT v FROM t").isEmpty)
        }
        #expect(try reader.execute("SELECT v FROM t") == [[.integer(1)]])
        #expect(throws: SQLiteError.self) { try reader.execute("INSERT INTO t VALUES (2)") }
        #expect(throws: SQLiteError.self) { try reader.execute("CREATE TABLE u (v)") }
    }

    @Test("a database in a folder that does not exist is refused")
    func noFolder() {
        #expect(throws: SQLiteError.self) { _ = try SQLiteConnection(path: "/nonexistent/folder/x.sqlite") }
    }
}
