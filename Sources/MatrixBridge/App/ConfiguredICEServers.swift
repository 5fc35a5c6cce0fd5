// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import TURNCreds

/// The ICE servers of the configuration, with TURN credentials made for each participant.
struct ConfiguredICEServers: ICEServerProviding {
    private let stunURLs: [String]
    private let fixed: [ICEServerEntry]
    private let issuers: [TURNCredentialIssuer]

    /// - Throws: ``Termination`` when a TURN server or its secret is unusable.
    init(_ configuration: BridgeConfiguration) throws {
        stunURLs = configuration.rtc.stunServers.map { $0.hasPrefix("stun:") ? $0 : "stun:\($0)" }
        var fixed: [ICEServerEntry] = []
        var shared: [(secret: Secret, lifetime: Int64, servers: [TURNServer])] = []
        for server in configuration.turn.servers {
            let turn = try Self.turnServer(server)
            switch server.credential {
            case .fixed(let username, let password):
                fixed.append(
                    ICEServerEntry(urls: [turn.uri], username: username, credential: password.exposed))
            case .shared(let secret, let lifetime):
                let seconds = lifetime.components.seconds
                if let index = shared.firstIndex(where: { $0.secret == secret && $0.lifetime == seconds }) {
                    shared[index].servers.append(turn)
                } else {
                    shared.append((secret, seconds, [turn]))
                }
            }
        }
        self.fixed = fixed
        issuers = try shared.map { entry in
            guard let secret = TURNSecret(entry.secret.exposed) else {
                throw Termination(
                    .configuration, cause: "a TURN secret is empty", source: "rtc.turn_servers",
                    fix: "write the static-auth-secret of the TURN server")
            }
            return TURNCredentialIssuer(servers: entry.servers, secret: secret, lifetimeSeconds: entry.lifetime)
        }
    }

    private static func turnServer(_ server: TURNConfiguration.Server) throws -> TURNServer {
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

    func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] {
        var entries = stunURLs.isEmpty ? [] : [ICEServerEntry(urls: stunURLs)]
        entries += fixed
        // The pseudonym keeps quotas a person without telling the relay who it is.
        guard let user = try? TURNCredential.pseudonym(of: identity) else { return entries }
        for issuer in issuers {
            for access in (try? issuer.access(user: user, now: unixSeconds)) ?? [] {
                entries.append(
                    ICEServerEntry(urls: access.urls, username: access.username, credential: access.credential))
            }
        }
        return entries
    }
}
