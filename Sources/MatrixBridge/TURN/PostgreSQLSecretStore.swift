// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CPostgreSQL
import Glibc
import TURNCreds

/// coturn's userdb in PostgreSQL. A connection lives for one call: calls are rare, and an old connection may be dead.
struct PostgreSQLSecretStore: SecretStore {
    private let address: Secret

    /// - Parameter address: What libpq takes as a connection string.
    init(address: Secret) {
        self.address = address
    }

    func insert(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        _ = try run(
            """
            INSERT INTO turn_secret (realm, value) SELECT $1::varchar, $2::varchar
            WHERE NOT EXISTS (SELECT 1 FROM turn_secret WHERE realm = $1::varchar AND value = $2::varchar)
            """, [realm, secret.exposed])
    }

    func remove(_ secret: TURNSecret, realm: String) throws(SecretStoreError) {
        _ = try run("DELETE FROM turn_secret WHERE realm = $1 AND value = $2", [realm, secret.exposed])
    }

    func contains(_ secret: TURNSecret, realm: String) throws(SecretStoreError) -> Bool {
        try run("SELECT 1 FROM turn_secret WHERE realm = $1 AND value = $2 LIMIT 1", [realm, secret.exposed]) != nil
    }

    func count(realm: String) throws(SecretStoreError) -> Int {
        try run("SELECT count(*) FROM turn_secret WHERE realm = $1", [realm]).flatMap { Int($0) } ?? 0
    }

    /// The first value of the first row.
    private func run(_ sql: String, _ parameters: [String]) throws(SecretStoreError) -> String? {
        let connection = try PostgreSQLConnection(address: address)
        return try connection.execute(sql, parameters)
    }
}

/// A connection to PostgreSQL in which nothing lasts beyond a deadline.
private final class PostgreSQLConnection {
    private static let timeLimitMilliseconds: UInt64 = 5_000

    private let handle: OpaquePointer
    private let deadline: Deadline

    init(address: Secret) throws(SecretStoreError) {
        // libpq's own words about a malformed URL quote it, password and all.
        guard let options = PQconninfoParse(address.exposed, nil) else {
            throw SecretStoreError(reason: .other, text: "the postgresql: URL is not as libpq wants it")
        }
        PQconninfoFree(options)
        guard let handle = PQconnectStart(address.exposed) else {
            throw SecretStoreError(reason: .other, text: "no memory for a connection")
        }
        self.handle = handle
        deadline = Deadline(after: Self.timeLimitMilliseconds)
        var state = PQstatus(handle) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard state != PGRES_POLLING_FAILED else { throw connectionError }
            let wantsWrite = state == PGRES_POLLING_WRITING
            guard deadline.wait(for: PQsocket(handle), toWrite: wantsWrite) else {
                throw SecretStoreError(reason: .unreachable, text: "no answer within 5 seconds")
            }
            state = PQconnectPoll(handle)
        }
        // The server gives up as well, and holds no lock for somebody who went away.
        _ = try execute("SELECT set_config('statement_timeout', '4000', false)", [])
    }

    deinit { PQfinish(handle) }

    func execute(_ sql: String, _ parameters: [String]) throws(SecretStoreError) -> String? {
        guard Self.send(handle, sql, parameters) else { throw connectionError }
        var value: String?
        var failure: SecretStoreError?
        while true {
            while PQisBusy(handle) != 0 {
                guard deadline.wait(for: PQsocket(handle), toWrite: false) else {
                    throw SecretStoreError(reason: .unreachable, text: "no answer within 5 seconds")
                }
                guard PQconsumeInput(handle) == 1 else { throw connectionError }
            }
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK: break
            case PGRES_TUPLES_OK:
                if PQntuples(result) > 0, let text = PQgetvalue(result, 0, 0) { value = String(cString: text) }
            default: failure = Self.error(of: result)
            }
        }
        if let failure { throw failure }
        return value
    }

    private static func send(_ handle: OpaquePointer, _ sql: String, _ parameters: [String]) -> Bool {
        let copies = parameters.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let values = copies.map { UnsafePointer($0) }
        return PQsendQueryParams(handle, sql, Int32(values.count), nil, values, nil, nil, 0) == 1
    }

    /// libpq's words about a connection name host, user and database. The host holds a part of the password when that
    /// has an @ which was not percent-encoded.
    private var connectionError: SecretStoreError {
        let text = String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline).joined(separator: "; ")
        guard !text.contains("@") else {
            return SecretStoreError(reason: .unreachable, text: "the URL has an @ too many: write %40 in a password")
        }
        let isDenied = text.contains("authentication") || text.contains("no password") || text.contains("pg_hba")
        return SecretStoreError(reason: isDenied ? .denied : .unreachable, text: text)
    }

    /// The primary message alone: the detail of an error may quote the row, and with it the secret.
    private static func error(of result: OpaquePointer?) -> SecretStoreError {
        func field(_ code: Character) -> String {
            guard let ascii = code.asciiValue, let text = PQresultErrorField(result, Int32(ascii)) else { return "" }
            return String(cString: text)
        }
        let state = field("C")
        let reason: SecretStoreError.Reason =
            switch state {
            case "42P01": .noTable
            case "42501": .denied
            case "55P03", "57014", "40P01": .locked
            case "57P01", "57P02", "57P03": .unreachable
            case "25006": .denied
            default: .other
            }
        return SecretStoreError(reason: reason, text: "SQLSTATE \(state): \(field("M"))")
    }
}
