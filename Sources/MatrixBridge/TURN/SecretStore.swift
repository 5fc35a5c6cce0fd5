// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// Why a TURN server's secret store could not be read or changed. No text in it holds a secret or a password.
struct SecretStoreError: Error, Equatable, Sendable, CustomStringConvertible {
    enum Reason: String, Hashable, Sendable, CaseIterable {
        /// Nobody answers, or not in time.
        case unreachable
        /// Another process holds it.
        case locked
        /// It has no table of secrets.
        case noTable
        /// We may not.
        case denied
        /// It says done and shows that it is not.
        case untrue
        case other
    }

    var reason: Reason
    /// What the store said, in its own words.
    var text: String

    var description: String { "\(reason.rawValue): \(text)" }

    /// What an operator does about it.
    var fix: String {
        switch reason {
        case .unreachable: "start the database, or correct the store of the realm in turn.realms"
        case .locked: "wait; when it stays so, find the process that holds the database"
        case .noTable: "make coturn's tables: /usr/share/coturn/schema.sql"
        case .denied: "give Callbridge's user the right to read and write turn_secret"
        case .untrue: "look whether a replica or another database answers"
        case .other: "see what the store says"
        }
    }
}

/// Where a TURN server looks up the secrets of a realm for each new client: coturn's userdb.
///
/// Every method waits, some seconds at most, so it is called on a thread made for that. Each may be repeated.
protocol SecretStore: Sendable {
    /// Adds a secret; nothing happens when it is there.
    func insert(_ secret: TURNSecret, realm: String) throws(SecretStoreError)
    /// Takes a secret out; nothing happens when it is not there.
    func remove(_ secret: TURNSecret, realm: String) throws(SecretStoreError)
    func contains(_ secret: TURNSecret, realm: String) throws(SecretStoreError) -> Bool
    /// How many secrets the realm has.
    func count(realm: String) throws(SecretStoreError) -> Int
}

extension SecretStore {
    /// Adds a secret and sees that it is there.
    func insertVerified(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        try insert(secret, realm: realm)
        guard try contains(secret, realm: realm) else {
            throw SecretStoreError(reason: .untrue, text: "the secret is not there after it was added")
        }
    }

    /// Takes a secret out and sees that it is gone.
    func removeVerified(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        try remove(secret, realm: realm)
        guard try !contains(secret, realm: realm) else {
            throw SecretStoreError(reason: .untrue, text: "the secret is still there after it was taken out")
        }
    }
}
