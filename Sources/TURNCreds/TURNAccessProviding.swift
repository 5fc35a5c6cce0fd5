// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a client needs to use TURN servers: the members of one `RTCIceServer`.
package struct TURNServerAccess: Equatable, Sendable {
    package let urls: [String]
    package let username: String
    package let credential: String
    /// Unix seconds; nil for a pair that is good for ever.
    package let expiry: Int64?

    package init(urls: [String], username: String, credential: String, expiry: Int64?) {
        self.urls = urls
        self.username = username
        self.credential = credential
        self.expiry = expiry
    }
}

/// Where access to TURN servers comes from: a secret of ours, a fixed pair, or another provider.
package protocol TURNAccessProviding: Sendable {
    /// Access for one user part; empty when there is none to give now.
    ///
    /// - Parameters:
    ///   - user: Whom the servers count; ``TURNCredential/pseudonym(user:device:)`` hides who that is.
    ///   - now: Unix seconds.
    func access(user: String, now: Int64) throws(TURNCredentialFault) -> [TURNServerAccess]
}

/// A username and a password that somebody set on the server: the same for everybody, and good until they are changed
/// there.
///
/// Whoever takes part in one call has them for ever, so the configuration that names one gets a warning.
package struct StaticTURNPair: TURNAccessProviding {
    private let server: TURNServer
    private let username: String
    private let password: String

    package init(server: TURNServer, username: String, password: String) {
        self.server = server
        self.username = username
        self.password = password
    }

    package func access(user: String, now: Int64) -> [TURNServerAccess] {
        [TURNServerAccess(urls: [server.uri], username: username, credential: password, expiry: nil)]
    }
}
