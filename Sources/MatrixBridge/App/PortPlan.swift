// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which ports the configuration uses, who has to reach them, and the firewall rules that follow.
struct PortPlan {
    enum Transport: String {
        case udp, tcp
    }

    /// Who must be able to reach a port.
    enum Audience: Equatable {
        /// Every client, and so the internet.
        case everyone
        /// The TLS proxy and the homeserver; in front of it, everybody speaks to the proxy.
        case neighbours
        /// Whoever reads the metrics.
        case monitoring
    }

    struct Port: Equatable {
        var ports: ClosedRange<Int>
        var transport: Transport
        var audience: Audience
        var purpose: String
        /// For the comment of a firewall rule.
        var label: String
        /// Whether the socket is on loopback alone, where no firewall rule is needed.
        var isLocal = false

        var numbers: String {
            ports.count == 1 ? String(ports.lowerBound) : "\(ports.lowerBound)-\(ports.upperBound)"
        }
    }

    /// The ports of this process.
    let own: [Port]
    /// Those of TURN servers, by host.
    let relays: [(host: String, ports: [Port])]
    private let isDevelopment: Bool
    private let hasAdvertisedAddress: Bool

    /// The range in which coturn relays unless min-port and max-port say otherwise.
    private static let relayRange = 49_152...65_535

    init(_ configuration: BridgeConfiguration) {
        isDevelopment = configuration.isDevelopment
        hasAdvertisedAddress = !configuration.rtc.nodeAddresses.isEmpty || configuration.rtc.asksForExternalAddress
        let bound = configuration.server.bindAddresses
        let isLocal = !bound.isEmpty && bound.allSatisfy { $0.hasPrefix("127.") || $0 == "::1" }
        var own = [
            Port(
                ports: configuration.rtc.udpPorts, transport: .udp, audience: .everyone,
                purpose: "sound, pictures and data of all calls", label: "Callbridge media",
                isLocal: isDevelopment && isLocal),
            Port(
                ports: configuration.server.port...configuration.server.port, transport: .tcp, audience: .neighbours,
                purpose: "signalling, tokens and the homeserver's events, without TLS", label: "Callbridge",
                isLocal: isLocal),
        ]
        if let port = configuration.server.prometheusPort {
            own.append(
                Port(
                    ports: port...port, transport: .tcp, audience: .monitoring, purpose: "metrics",
                    label: "Callbridge metrics", isLocal: isLocal))
        }
        self.own = own
        relays = Self.relays(configuration.turn.servers)
    }

    private static func relays(_ servers: [TURNConfiguration.Server]) -> [(host: String, ports: [Port])] {
        var hosts: [String] = []
        for server in servers where !hosts.contains(server.host) { hosts.append(server.host) }
        return hosts.map { host in
            let listeners = servers.filter { $0.host == host }.map { server in
                Port(
                    ports: server.port...server.port, transport: server.transport == .udp ? .udp : .tcp,
                    audience: .everyone, purpose: "TURN over \(server.transport.rawValue.uppercased())", label: "TURN")
            }
            return (
                host,
                listeners + [
                    Port(
                        ports: relayRange, transport: .udp, audience: .everyone,
                        purpose: "relayed media; coturn's min-port and max-port, if you set them", label: "TURN relays")
                ]
            )
        }
    }

    // MARK: Text

    var text: String {
        var parts: [String] = []
        if isDevelopment, own.allSatisfy(\.isLocal) {
            parts.append(
                section("Nothing to open: --dev listens on this machine alone", own.map(line)))
        } else {
            let open = own.filter { $0.audience == .everyone }
            parts.append(section("Open to everybody on this machine", open.map(line)))
            parts.append(
                section(
                    "Open to everybody on the machine of the TLS proxy",
                    [Self.row("443/tcp", "https:// and wss://, passed on to port \(own[1].numbers)")]))
            let closed = own.filter { $0.audience != .everyone }
            parts.append(section("May stay closed", closed.map(line) + closedNotes))
        }
        for relay in relays {
            parts.append(section("Open to everybody on the TURN server \(relay.host)", relay.ports.map(line)))
        }
        let rules = rules
        if !rules.isEmpty {
            parts.append(section("ufw on this machine (rules for IPv4 and IPv6)", rules.map(\.ufw)))
            parts.append(
                section("nftables on this machine, in the input chain of an inet table", rules.map(\.nftables)))
        }
        for relay in relays {
            parts.append(section("ufw on \(relay.host), if it is another machine", relay.ports.map { Rule($0).ufw }))
        }
        if !isDevelopment { parts.append(section("Behind NAT", natNotes)) }
        return parts.joined(separator: "\n\n")
    }

    private var closedNotes: [String] {
        guard let http = own.first(where: { $0.audience == .neighbours }), !http.isLocal else { return [] }
        return [
            Self.row("", "listens on every address: with proxy and homeserver on this machine write"),
            Self.row("", "bind_addresses: [127.0.0.1], else let those two machines in and nobody else"),
        ]
    }

    private var natNotes: [String] {
        let media = own[0]
        let forward = "Forward UDP \(media.numbers) to this machine, the same outside and inside."
        return [
            forward,
            hasAdvertisedAddress
                ? "The address told to clients is named."
                : "Name the public address: rtc.node_ip. Without it clients are told those of the interfaces.",
        ]
    }

    private struct Rule {
        var ufw: String
        var nftables: String

        init(_ port: Port) {
            let numbers = port.numbers
            ufw = "ufw allow \(numbers.replacing("-", with: ":"))/\(port.transport.rawValue) comment '\(port.label)'"
            nftables = "\(port.transport.rawValue) dport \(numbers) accept comment \"\(port.label)\""
        }
    }

    private var rules: [Rule] { own.filter { $0.audience == .everyone && !$0.isLocal }.map(Rule.init) }

    private func line(_ port: Port) -> String {
        Self.row(
            "\(port.numbers)/\(port.transport.rawValue)", port.purpose + (port.isLocal ? "; on loopback" : ""))
    }

    private static func row(_ left: String, _ right: String) -> String {
        left + String(repeating: " ", count: max(1, 18 - left.count)) + right
    }

    private func section(_ title: String, _ lines: [String]) -> String {
        ([title + ":"] + lines.map { "  " + $0 }).joined(separator: "\n")
    }
}
