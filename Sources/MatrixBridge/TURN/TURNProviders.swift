// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// Where clients get access to TURN from, as the configuration says it.
struct TURNProviders: Sendable {
    /// Servers that take the same credentials, with what makes those.
    struct Group: Sendable {
        var servers: [TURNServer]
        /// Nil for servers without a realm of ours.
        var realm: String?
        /// Longest life of a credential, seconds; nil for fixed pairs.
        var lifetimeSeconds: Int64?
        var provider: any TURNAccessProviding
    }

    /// Realms first, then shared secrets, then fixed pairs.
    let groups: [Group]

    /// - Throws: ``Termination`` when a TURN server or its secret is unusable.
    init(_ configuration: TURNConfiguration, secrets: CurrentSecrets) throws(Termination) {
        var realms: [(name: String, lifetime: Int64, servers: [TURNServer])] = []
        var shared: [(secret: Secret, lifetime: Int64, servers: [TURNServer])] = []
        var fixed: [Group] = []
        for server in configuration.servers {
            let turn = try Self.turnServer(server)
            switch server.credential {
            case .fixed(let username, let password):
                let pair = StaticTURNPair(server: turn, username: username, password: password.exposed)
                fixed.append(Group(servers: [turn], realm: nil, lifetimeSeconds: nil, provider: pair))
            case .shared(let secret, let lifetime):
                let seconds = Self.capped(lifetime)
                if let index = shared.firstIndex(where: { $0.secret == secret && $0.lifetime == seconds }) {
                    shared[index].servers.append(turn)
                } else {
                    shared.append((secret, seconds, [turn]))
                }
            case .realm(let name, let lifetime):
                let seconds = Self.capped(lifetime)
                if let index = realms.firstIndex(where: { $0.name == name && $0.lifetime == seconds }) {
                    realms[index].servers.append(turn)
                } else {
                    realms.append((name, seconds, [turn]))
                }
            }
        }
        var groups = realms.map { entry in
            Group(
                servers: entry.servers, realm: entry.name, lifetimeSeconds: entry.lifetime,
                provider: RealmTURNAccess(
                    realm: entry.name, servers: entry.servers, lifetimeSeconds: entry.lifetime, secrets: secrets))
        }
        for entry in shared {
            guard let secret = TURNSecret(entry.secret.exposed) else {
                throw Termination(
                    .configuration, cause: "a TURN secret is empty", source: "rtc.turn_servers",
                    fix: "write the static-auth-secret of the TURN server")
            }
            let issuer = TURNCredentialIssuer(servers: entry.servers, secret: secret, lifetimeSeconds: entry.lifetime)
            groups.append(
                Group(servers: entry.servers, realm: nil, lifetimeSeconds: entry.lifetime, provider: issuer))
        }
        self.groups = groups + fixed
    }

    /// Access for a person's device, everything there is; fixed pairs included.
    ///
    /// - Parameters:
    ///   - identity: Whom the servers count; they see a pseudonym.
    ///   - now: Unix seconds.
    func access(forIdentity identity: String, now: Int64) -> [TURNServerAccess] {
        guard let user = try? TURNCredential.pseudonym(of: identity) else { return [] }
        return groups.flatMap { (try? $0.provider.access(user: user, now: now)) ?? [] }
    }

    /// The longest life of credentials of a realm, seconds.
    func longestLifetime(ofRealm realm: String) -> Int64 {
        groups.filter { $0.realm == realm }.compactMap(\.lifetimeSeconds).max() ?? 0
    }

    private static func capped(_ lifetime: Duration) -> Int64 {
        min(lifetime.components.seconds, TURNCredential.maximumLifetimeSeconds)
    }

    private static func turnServer(_ server: TURNConfiguration.Server) throws(Termination) -> TURNServer {
        let transport: TURNServer.Transport =
            switch server.transport {
            case .udp: .udp
            case .tcp: .tcp
            case .tls: .tls
            }
        do {
            return try TURNServer(host: server.host, port: UInt16(clamping: server.port), transport: transport)
        } catch {
            throw Termination(
                .configuration, cause: "\(server.host):\(server.port) is no TURN server address (\(error))",
                source: "rtc.turn_servers", fix: "write host and port of the server, as in `host: turn.example.org`")
        }
    }
}
