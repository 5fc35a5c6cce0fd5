// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CSQLite
import Glibc
import TURNCreds

/// coturn's userdb in a SQLite file.
///
/// coturn takes a locked file for "no secrets" and refuses the client that asks in that moment. So the file is locked
/// for the writing of one page only: the disk is waited for afterwards, outside the lock.
struct SQLiteSecretStore: SecretStore {
    private let path: String

    init(path: String) {
        self.path = path
    }

    func insert(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        guard try !contains(secret, realm: realm) else { return }
        try write("INSERT OR IGNORE INTO turn_secret (realm, value) VALUES (?, ?)", realm, secret)
    }

    func remove(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        guard try contains(secret, realm: realm) else { return }
        try write("DELETE FROM turn_secret WHERE realm = ? AND value = ?", realm, secret)
    }

    func contains(_ secret: TURNSecret, realm: String) throws(SecretStoreError) -> Bool {
        try count("SELECT count(*) FROM turn_secret WHERE realm = ? AND value = ?", [realm, secret.exposed]) > 0
    }

    func count(realm: String) throws(SecretStoreError) -> Int {
        try count("SELECT count(*) FROM turn_secret WHERE realm = ?", [realm])
    }

    private func count(_ sql: String, _ values: [String]) throws(SecretStoreError) -> Int {
        do throws(SQLiteError) {
            let rows = try SQLiteConnection(foreignPath: path).execute(sql, values.map(SQLiteValue.text))
            return rows.first?.first?.integer.flatMap(Int.init(exactly:)) ?? 0
        } catch {
            throw SecretStoreError(error)
        }
    }

    private func write(_ sql: String, _ realm: String, _ secret: TURNSecret) throws(SecretStoreError) {
        do throws(SQLiteError) {
            let connection = try SQLiteConnection(foreignPath: path)
            try connection.execute("PRAGMA synchronous=OFF")
            try connection.execute(sql, [.text(realm), .text(secret.exposed)])
        } catch {
            throw SecretStoreError(error)
        }
        // Only now that the connection is closed: closing any descriptor of the file would drop SQLite's locks.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            let code = errno
            if descriptor >= 0 { close(descriptor) }
            throw SecretStoreError(
                reason: .other, text: "the disk did not take it (\(String(cString: strerror(code))))")
        }
        close(descriptor)
    }
}

extension SecretStoreError {
    fileprivate init(_ error: SQLiteError) {
        // The low byte of an extended code is its family.
        let reason: Reason =
            switch error.code & 0xFF {
            case SQLITE_BUSY, SQLITE_LOCKED: .locked
            case SQLITE_CANTOPEN: .unreachable
            case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .denied
            case SQLITE_ERROR where error.message.hasPrefix("no such table"): .noTable
            default: .other
            }
        self.init(reason: reason, text: error.message)
    }
}
