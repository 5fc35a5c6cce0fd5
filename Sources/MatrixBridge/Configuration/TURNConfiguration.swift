// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The TURN servers told to clients.
package struct TURNConfiguration: Equatable, Sendable {
    package struct Server: Equatable, Sendable {
        package enum Transport: String, Sendable, CaseIterable { case udp, tcp, tls }

        /// How a client proves itself to the server.
        package enum Credential: Equatable, Sendable {
            case fixed(username: String, password: Secret)
            /// Time-limited credentials made from a secret shared with the server.
            case shared(Secret, lifetime: Duration)
            /// The same with the secret of a realm of ``TURNConfiguration/realms``.
            case realm(String, lifetime: Duration)
        }

        package var host: String
        package var port: Int
        package var transport: Transport
        package var credential: Credential
    }

    package var servers: [Server]
    package var realms: [TURNRealmConfiguration]

    static let serversKey = ConfigurationKey(
        "rtc.turn_servers", .tree, default: "[]",
        example: "[{host: turn.example.org, port: 3478, protocol: udp, secret: …}]",
        "TURN servers told to clients: host, port, protocol, and realm (of turn.realms), secret, secret_file or username "
            + "and credential; ttl (4h, at most 24h)")
    static let enabledKey = ConfigurationKey(
        "turn.enabled", .boolean, default: "false",
        "no effect: there is no TURN server inside; name one in rtc.turn_servers")

    static let keys = [serversKey, enabledKey, TURNRealmConfiguration.key]

    private static let fields: Set<String> = [
        "host", "port", "protocol", "username", "credential", "secret", "secret_file", "ttl", "realm",
    ]

    init(reading values: inout ConfigurationReader) {
        self.servers = []
        self.realms = TURNRealmConfiguration.realms(reading: &values)
        let names = Set(realms.map(\.name))
        if let value = values.value(Self.serversKey) {
            switch value.node.content {
            case .sequence(let items):
                for item in items {
                    guard let server = Self.server(item, of: value, &values) else { continue }
                    Self.judge(server, realms: names, at: value.origin(of: item), &values)
                    self.servers.append(server)
                }
            case .null, .scalar, .mapping:
                values.fail(Self.serversKey, "rtc.turn_servers must be a list, not \(value.node.kindName)")
            }
        }
        values.record(Self.serversKey, "[" + servers.map(Self.flowText).joined(separator: ", ") + "]")
        if values.boolean(Self.enabledKey) {
            values.report(
                ConfigurationFinding(
                    .warning, at: values.origin(of: Self.enabledKey),
                    "turn.enabled has no effect: there is no TURN server inside",
                    correction: ConfigurationValues.nestedLine(
                        Self.serversKey.path, value: Self.serversKey.correctValue)))
        }
    }

    /// What is right by itself and wrong with the rest, or a danger.
    private static func judge(
        _ server: Server, realms: Set<String>, at origin: ConfigurationOrigin, _ values: inout ConfigurationReader
    ) {
        switch server.credential {
        case .shared:
            break
        case .realm(let name, _):
            guard !realms.contains(name), !values.isIncomplete else { return }
            values.fail(
                serversKey, "rtc.turn_servers: realm \(name) of \(server.host) is not in turn.realms", at: origin)
        case .fixed:
            values.report(
                ConfigurationFinding(
                    .warning, at: origin,
                    "the username and credential of TURN server \(server.host) never expire: whoever was in one call "
                        + "can use the relay until you change them",
                    correction: "- {host: \(server.host), realm: …}  # with a realm of turn.realms, or secret: …"))
        }
    }

    private static func server(
        _ node: ConfigurationNode, of value: ConfigurationValues.Value, _ values: inout ConfigurationReader
    ) -> Server? {
        func refuse(_ problem: String, _ part: ConfigurationNode) -> Server? {
            values.fail(serversKey, "rtc.turn_servers: \(problem)", at: value.origin(of: part))
            return nil
        }
        guard case .mapping(let entries) = node.content else {
            return refuse("an entry is \(node.kindName), not a map", node)
        }
        for entry in entries where !fields.contains(entry.key) {
            let nearest = NearestName.of(entry.key, in: fields.sorted())
            let shown = ConfigurationValues.presentable(entry.key)
            values.report(
                ConfigurationFinding(
                    .warning, at: value.origin(of: ConfigurationNode(.null, at: entry.place)),
                    "unknown key rtc.turn_servers[].\(shown)" + (nearest.map { ", did you mean \($0)?" } ?? ""),
                    correction: nearest.map { "\($0): …" } ?? "remove it"))
        }
        guard let host = node["host"]?.scalar, !host.isEmpty else { return refuse("an entry has no host", node) }
        var port = 3478
        if let part = node["port"] {
            guard let number = part.scalar.flatMap({ ConfigurationReader.integer($0, in: 1...65535) }) else {
                return refuse("the port of \(host) must be from 1 to 65535", part)
            }
            port = number
        }
        var transport = Server.Transport.udp
        if let part = node["protocol"] {
            guard let known = part.scalar.flatMap({ Server.Transport(rawValue: $0.lowercased()) }) else {
                return refuse("the protocol of \(host) must be udp, tcp or tls", part)
            }
            transport = known
        }
        var lifetime = Duration.seconds(14_400)
        if let part = node["ttl"] {
            guard let time = part.scalar.flatMap({ ConfigurationReader.duration($0, bareSeconds: true) }), time > .zero
            else { return refuse("the ttl of \(host) must be a number of seconds", part) }
            lifetime = time
        }
        guard let credential = credential(node, host: host, lifetime: lifetime, of: value, &values) else { return nil }
        return Server(host: host, port: port, transport: transport, credential: credential)
    }

    private static func credential(
        _ node: ConfigurationNode, host: String, lifetime: Duration, of value: ConfigurationValues.Value,
        _ values: inout ConfigurationReader
    ) -> Server.Credential? {
        if let realm = node["realm"]?.scalar, !realm.isEmpty { return .realm(realm, lifetime: lifetime) }
        if let secret = node["secret"]?.scalar, !secret.isEmpty { return .shared(Secret(secret), lifetime: lifetime) }
        if let part = node["secret_file"], let path = part.scalar, !path.isEmpty {
            do {
                let text = try ConfigurationFile.read(path).text
                return .shared(Secret(String(text.prefix { !$0.isNewline })), lifetime: lifetime)
            } catch {
                values.fail(
                    serversKey, "rtc.turn_servers: secret_file \(path): \(error.problem)", at: value.origin(of: part))
                return nil
            }
        }
        if let username = node["username"]?.scalar, let password = node["credential"]?.scalar {
            return .fixed(username: username, password: Secret(password))
        }
        values.fail(
            serversKey, "rtc.turn_servers: \(host) has neither realm, secret, secret_file nor username and credential",
            at: value.origin(of: node))
        return nil
    }

    private static func flowText(_ server: Server) -> String {
        let shown: [(String, String)] =
            switch server.credential {
            case .fixed(let username, let password):
                [("username", FlowText.scalar(username)), ("credential", FlowText.quoted(password.description))]
            case .realm(let name, let lifetime):
                [("realm", FlowText.scalar(name)), ("ttl", FlowText.duration(lifetime))]
            case .shared(let secret, let lifetime):
                [("secret", FlowText.quoted(secret.description)), ("ttl", FlowText.duration(lifetime))]
            }
        return FlowText.map(
            [
                ("host", FlowText.scalar(server.host)), ("port", String(server.port)),
                ("protocol", server.transport.rawValue),
            ] + shown)
    }
}
