// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A name and the secret that signs tokens in this name.
///
/// Printing or dumping it shows the fingerprint, never the secret.
package struct APIKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The `iss` of its tokens.
    package let name: String
    let secret: [UInt8]

    package init(name: String, secret: String) {
        self.init(name: name, secret: Array(secret.utf8))
    }

    init(name: String, secret: [UInt8]) {
        self.name = name
        self.secret = secret
    }

    /// The first eight hexadecimal digits of the secret's SHA-256: enough to see which of two secrets is in use.
    package var fingerprint: String {
        let digits = Array("0123456789abcdef")
        return String(
            (TokenDigest.sha256(secret) ?? []).prefix(4).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        )
    }

    package var description: String { "APIKey(\(name), fingerprint \(fingerprint))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["name": name, "fingerprint": fingerprint]) }
}

/// Why a pair of name and secret cannot be a key.
package enum APIKeyFault: Error, Equatable, Sendable {
    case emptyName
    case emptySecret(name: String)
}

/// The keys whose tokens this server accepts, by name.
package struct APIKeySet: Sendable {
    /// Sorted by name.
    package let keys: [APIKey]
    private let positions: [String: Int]

    /// - Parameter secrets: Name to secret.
    package init(secrets: [String: String]) throws(APIKeyFault) {
        for (name, secret) in secrets.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty else { throw .emptyName }
            guard !secret.isEmpty else { throw .emptySecret(name: name) }
        }
        self.init(keys: secrets.map { APIKey(name: $0.key, secret: $0.value) })
    }

    /// The first key of a name counts.
    init(keys: [APIKey]) {
        self.keys = keys.sorted { $0.name < $1.name }
        positions = Dictionary(
            self.keys.enumerated().map { ($0.element.name, $0.offset) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    package subscript(name: String) -> APIKey? {
        positions[name].map { keys[$0] }
    }
}
