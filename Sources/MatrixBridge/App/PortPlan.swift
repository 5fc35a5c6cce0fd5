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
    private let hasAdvertisedAddress: Bool

    /// The range in which coturn relays unless min-port and max-port say otherwise.
    private static let relayRange = 49_152...65_535

    init(_ configuration: BridgeConfiguration) {
        hasAdvertisedAddress = !configuration.rtc.nodeAddresses.isEmpty || configuration.rtc.asksForExternalAddress
        let bound = configuration.server.bindAddresses
        let isLocal = !bound.isEmpty && bound.allSatisfy { $0.hasPrefix("127.") || $0 == "::1" }
        var own = [
            Port(
                ports: configuration.rtc.udpPorts, transport: .udp, audience: .everyone,
                purpose: "sound, pictures and data of all calls", label: "Callbridge media",
                isLocal: configuration.isDevelopment && isLocal),
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
        guard !own.allSatisfy(\.isLocal) else {
            return section("Nothing to open: every socket is on loopback", own.map(line))
        }
        var parts = [
            section("Open to everybody on this machine", own.filter { $0.audience == .everyone }.map(line)),
            section("Open to everybody on the machine of the TLS proxy", [line(proxy)]),
            section("May stay closed", own.filter { $0.audience != .everyone }.flatMap { [line($0)] + notes($0) }),
        ]
        for relay in relays {
            parts.append(section("Open to everybody on the TURN server \(relay.host)", relay.ports.map(line)))
        }
        let rules = own.filter { $0.audience == .everyone && !$0.isLocal } + [proxy]
        parts += rulesFor("this machine", rules)
        for relay in relays { parts += rulesFor("\(relay.host), if it is another machine", relay.ports) }
        parts.append(section("Behind NAT", natNotes))
        return parts.joined(separator: "\n\n")
    }

    private var proxy: Port {
        Port(
            ports: 443...443, transport: .tcp, audience: .everyone,
            purpose: "https:// and wss://, passed on to port \(own[1].numbers)", label: "TLS proxy, if it is here")
    }

    /// One set of rules for each of the two programs; both take IPv4 and IPv6.
    private func rulesFor(_ machine: String, _ ports: [Port]) -> [String] {
        [
            section(
                "ufw on \(machine)",
                ports.map { port in
                    let numbers = port.numbers.replacing("-", with: ":")
                    return "ufw allow \(numbers)/\(port.transport.rawValue) comment '\(port.label)'"
                }),
            section(
                "nftables on \(machine), in the input chain of an inet table",
                ports.map { port in
                    "\(port.transport.rawValue) dport \(port.numbers) accept comment \"\(port.label)\""
                }),
        ]
    }

    private func notes(_ port: Port) -> [String] {
        guard port.audience == .neighbours, !port.isLocal else { return [] }
        return [
            Self.row("", "It listens on every address. With proxy and homeserver on this machine write"),
            Self.row("", "bind_addresses: [127.0.0.1], else let those two machines in and nobody else."),
        ]
    }

    private var natNotes: [String] {
        [
            "Forward UDP \(own[0].numbers) to this machine, the same outside and inside.",
            hasAdvertisedAddress
                ? "Clients are told the address of rtc.node_ip or rtc.use_external_ip."
                : "Name the public address: rtc.node_ip. Without it clients are told those of the interfaces.",
        ]
    }

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
