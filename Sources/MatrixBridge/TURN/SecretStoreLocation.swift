// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation

/// Where the secrets of a realm are kept, as a URL says it.
package enum SecretStoreLocation: Equatable, Sendable {
    /// A file with coturn's tables: `sqlite:/var/lib/turn/turndb`.
    case sqlite(path: String)
    /// What libpq takes: `postgresql://user:password@host:5432/coturn`.
    case postgreSQL(Secret)
    /// `redis://user:password@host:6379/0`; all but the host may be left out.
    case redis(RedisEndpoint)

    package struct RedisEndpoint: Equatable, Sendable {
        package var host: String
        package var port: UInt16
        package var user: String?
        package var password: Secret?
        package var database: Int
    }

    /// Nil when the text is none of the three.
    package init?(_ text: String) {
        let scheme = text.prefix { $0 != ":" }
        let rest = text.dropFirst(scheme.count + 1)
        switch scheme.lowercased() {
        case "sqlite":
            let path = rest.hasPrefix("//") ? rest.dropFirst(2) : rest
            guard path.hasPrefix("/"), !path.utf8.contains(0) else { return nil }
            self = .sqlite(path: String(path))
        case "postgresql", "postgres":
            guard rest.hasPrefix("//"), rest.count > 2, !rest.utf8.contains(0) else { return nil }
            self = .postgreSQL(Secret(text))
        case "redis":
            guard rest.hasPrefix("//"), let endpoint = RedisEndpoint(rest.dropFirst(2)) else { return nil }
            self = .redis(endpoint)
        default:
            return nil
        }
    }

    /// The store to work with.
    var store: any SecretStore {
        switch self {
        case .sqlite(let path): SQLiteSecretStore(path: path)
        case .postgreSQL(let address): PostgreSQLSecretStore(address: address)
        case .redis(let endpoint): RedisSecretStore(endpoint: endpoint)
        }
    }
}

extension SecretStoreLocation: CustomStringConvertible {
    /// Without user and password.
    package var description: String {
        switch self {
        case .sqlite(let path):
            return "sqlite:\(path)"
        case .postgreSQL(let address):
            let rest = address.exposed.drop { $0 != ":" }.dropFirst(3).prefix { $0 != "?" }
            let place = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
            return "postgresql://\(place)"
        case .redis(let endpoint):
            let host = endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host
            return "redis://\(host):\(endpoint.port)/\(endpoint.database)"
        }
    }
}

extension SecretStoreLocation.RedisEndpoint {
    fileprivate init?(_ text: Substring) {
        var place = text
        if let mark = text.lastIndex(of: "@") {
            let parts = text[..<mark].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first?.removingPercentEncoding else { return nil }
            user = name.isEmpty ? nil : name
            if parts.count == 2 {
                guard let word = parts[1].removingPercentEncoding, !word.isEmpty else { return nil }
                password = Secret(word)
            }
            guard user == nil || password != nil else { return nil }
            place = text[text.index(after: mark)...]
        }
        let pieces = place.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        database = 0
        if pieces.count == 2, !pieces[1].isEmpty {
            guard let number = Int(pieces[1]), (0...65_535).contains(number) else { return nil }
            database = number
        }
        guard let authority = pieces.first, !authority.isEmpty else { return nil }
        port = 6_379
        host = String(authority)
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<bracket])
            let tail = authority[authority.index(after: bracket)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return nil }
            if !tail.isEmpty {
                guard let number = UInt16(tail.dropFirst()), number > 0 else { return nil }
                port = number
            }
        } else if let colon = authority.lastIndex(of: ":") {
            guard let number = UInt16(authority[authority.index(after: colon)...]), number > 0 else { return nil }
            port = number
            host = String(authority[..<colon])
        }
        guard !host.isEmpty else { return nil }
    }
}
