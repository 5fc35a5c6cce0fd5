// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import MatrixBridge
import Testing

@Suite("Schema")
struct SchemaTests {
    @Test("a file opens again, and one of a newer version is refused with its number")
    func versions() async throws {
        let file = try TemporaryDatabase()
        _ = try Database(path: file.path)
        let database = try Database(path: file.path)
        let found = try await database.read { try $0.execute("PRAGMA user_version")[0][0].integer ?? 0 }
        #expect(found >= 1)
        _ = try await database.transaction { try $0.execute("PRAGMA user_version = 99") }
        #expect(throws: SchemaError.newerThanThisVersion(found: 99, supported: found)) {
            _ = try Database(path: file.path)
        }
    }

    @Test("commits go through a write-ahead log and wait for the disk")
    func durability() async throws {
        let file = try TemporaryDatabase()
        let database = try Database(path: file.path)
        let modes = try await database.read { connection in
            [try connection.execute("PRAGMA journal_mode")[0][0], try connection.execute("PRAGMA synchronous")[0][0]]
        }
        #expect(modes == [.text("wal"), .integer(2)])
    }
}

/// A folder for one database file, removed with the value.
final class TemporaryDatabase: Sendable {
    let folder: URL
    var path: String { folder.appendingPathComponent("bridge.sqlite").path }

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("callbridge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    /// The size of the file, or with a suffix of one beside it; 0 when it is not there.
    func byteCount(suffix: String = "") throws -> Int {
        let path = path + suffix
        guard FileManager.default.fileExists(atPath: path) else { return 0 }
        return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    /// The files as they are on the disk now, as if the process had been killed.
    func copyAsIs() throws -> TemporaryDatabase {
        let copy = try TemporaryDatabase()
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where !name.hasSuffix("-shm") {
            try FileManager.default.copyItem(
                at: folder.appendingPathComponent(name), to: copy.folder.appendingPathComponent(name))
        }
        return copy
    }
}
