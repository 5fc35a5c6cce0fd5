// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Gives participants access to the TURN servers that share one secret.
package struct TURNCredentialIssuer: TURNAccessProviding {
    /// UDP first, then TCP, then TLS; each place once.
    package let servers: [TURNServer]
    /// How long credentials are good, in seconds.
    package let lifetimeSeconds: Int64
    private let secret: TURNSecret

    /// - Parameter lifetimeSeconds: Cut to ``TURNCredential/maximumLifetimeSeconds``.
    package init(servers: [TURNServer], secret: TURNSecret, lifetimeSeconds: Int64) {
        var seen: Set<TURNServer> = []
        let unique = servers.filter { seen.insert($0).inserted }
        self.servers = TURNServer.Transport.allCases.sorted().flatMap { transport in
            unique.filter { $0.transport == transport }
        }
        self.secret = secret
        self.lifetimeSeconds = min(max(lifetimeSeconds, 0), TURNCredential.maximumLifetimeSeconds)
    }

    /// One entry with all servers, or none without servers.
    ///
    /// - Parameters:
    ///   - user: Whom the servers count; ``TURNCredential/pseudonym(of:)`` hides who that is.
    ///   - now: Unix seconds.
    package func access(user: String, now: Int64) throws(TURNCredentialFault) -> [TURNServerAccess] {
        guard !servers.isEmpty else { return [] }
        let credential = try TURNCredential(user: user, lifetimeSeconds: lifetimeSeconds, now: now, secret: secret)
        return [
            TURNServerAccess(
                urls: servers.map(\.uri),
                username: credential.username,
                credential: credential.password,
                expiry: credential.expiry
            )
        ]
    }
}
