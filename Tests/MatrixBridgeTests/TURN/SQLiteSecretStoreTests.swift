// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds
import Testing

@testable import MatrixBridge

@Suite("coturn's userdb in SQLite")
struct SQLiteSecretStoreTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    private var path: String { directory.path + "/turndb" }

    /// The table as coturn 4.6 makes it.
    private func makeTable() throws {
        try SQLiteConnection(path: path).execute(
            "CREATE TABLE turn_secret (realm varchar(127) default '', value varchar(256), primary key (realm, value))")
    }

    @Test("secrets of one realm come and go; twice is as good as once")
    func life() throws {
        try makeTable()
        let store = SQLiteSecretStore(path: path)
        let north = try #require(TURNSecret("north"))
        for _ in 0..<2 { try store.insertVerified(north, realm: "a") }
        try store.insertVerified(north, realm: "b")
        #expect(try store.count(realm: "a") == 1)
        for _ in 0..<2 { try store.removeVerified(north, realm: "a") }
        #expect(try store.count(realm: "a") == 0)
        #expect(try store.contains(north, realm: "b"))
    }

    @Test("a file without the table and no file are two different faults")
    func faults() throws {
        let store = SQLiteSecretStore(path: path)
        func reason() -> SecretStoreError.Reason? {
            do throws(SecretStoreError) {
                _ = try store.count(realm: "a")
                return nil
            } catch {
                return error.reason
            }
        }
        #expect(reason() == .unreachable)
        try SQLiteConnection(path: path).execute("CREATE TABLE other (a)")
        #expect(reason() == .noTable)
    }
}
