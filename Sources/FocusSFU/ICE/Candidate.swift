// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An ICE candidate as session descriptions and trickle messages carry it, RFC 8839 §5.1.
///
///     candidate:<foundation> <component> <transport> <priority> <address> <port> typ <kind>
///         [raddr <address> rport <port>] [tcptype <type>] [<name> <value>]…
package struct Candidate: Hashable, Sendable {
    package enum Transport: String, Sendable {
        case udp
        case tcp
    }

    package enum Kind: String, Sendable {
        case host
        case serverReflexive = "srflx"
        case peerReflexive = "prflx"
        case relayed = "relay"

        /// RFC 8445 §5.1.2.2.
        fileprivate var typePreference: UInt32 {
            switch self {
            case .host: 126
            case .peerReflexive: 110
            case .serverReflexive: 100
            case .relayed: 0
            }
        }
    }

    /// RFC 6544 §4.5.
    package enum TCPType: String, Sendable {
        case active
        case passive
        case simultaneousOpen = "so"
    }

    package struct Endpoint: Hashable, Sendable {
        /// An address literal or a name (`….local` hides an address, RFC 8839 leaves others to the resolver).
        package var host: String
        package var port: UInt16

        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    /// The longest line that is read.
    package static let lineByteLimit = 1024
    /// The longest address or name (RFC 1035 §2.3.4) and the longest fragment (RFC 8839 §5.4), so that whatever was
    /// read can be written as a line that is read again.
    private static let fieldByteLimit = 256

    package var foundation: String
    /// 1 for RTP (and all that is multiplexed with it), 2 for RTCP.
    package var component: UInt16
    package var transport: Transport
    package var priority: UInt32
    package var endpoint: Endpoint
    package var kind: Kind
    package var related: Endpoint?
    package var tcpType: TCPType?
    package var usernameFragment: String?

    /// A host candidate of ours. The foundation follows from transport and family, as all have one base each.
    /// A higher `localPreference` is preferred; it is distinct for each address.
    package init(host address: NetworkAddress, transport: Transport, component: UInt16 = 1, localPreference: UInt16) {
        foundation =
            switch (transport, address.isIPv4) {
            case (.udp, true): "1"
            case (.udp, false): "2"
            case (.tcp, true): "3"
            case (.tcp, false): "4"
            }
        self.component = component
        self.transport = transport
        self.priority = Self.priority(.host, localPreference: localPreference, component: component)
        self.endpoint = Endpoint(host: address.host, port: address.port)
        self.kind = .host
        self.tcpType = transport == .tcp ? .passive : nil
    }

    /// Reads the value with or without `a=` and `candidate:`; nil when a field is missing or out of range, the
    /// transport or kind is one we do not speak, or not all is ASCII, as the grammar has it. Unknown extension pairs
    /// are skipped.
    package init?(line: String) {
        guard line.utf8.count <= Self.lineByteLimit, line.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        var rest = line[...]
        if rest.hasPrefix("a=") { rest = rest.dropFirst(2) }
        if rest.hasPrefix("candidate:") { rest = rest.dropFirst(10) }
        let fields = rest.split(whereSeparator: \.isWhitespace)
        guard fields.count >= 8, fields[6] == "typ", (1...32).contains(fields[0].utf8.count),
            fields.allSatisfy({ $0.utf8.count <= Self.fieldByteLimit }),
            let component = UInt16(fields[1]), (1...256).contains(component),
            let transport = Transport(rawValue: fields[2].lowercased()),
            let priority = UInt32(fields[3]),
            let port = UInt16(fields[5]),
            let kind = Kind(rawValue: fields[7].lowercased())
        else { return nil }
        foundation = String(fields[0])
        self.component = component
        self.transport = transport
        self.priority = priority
        endpoint = Endpoint(host: String(fields[4]), port: port)
        self.kind = kind

        var relatedHost: Substring?
        var relatedPort: UInt16?
        for index in stride(from: 8, to: fields.count - 1, by: 2) {
            let value = fields[index + 1]
            switch fields[index] {
            case "raddr": relatedHost = value
            case "rport": relatedPort = UInt16(value)
            case "tcptype": tcpType = TCPType(rawValue: value.lowercased())
            case "ufrag": usernameFragment = String(value)
            default: continue
            }
        }
        if let relatedHost, let relatedPort {
            related = Endpoint(host: String(relatedHost), port: relatedPort)
        }
    }

    /// The transport address; nil when the host is a name, as mDNS candidates have it.
    package var address: NetworkAddress? {
        NetworkAddress(endpoint.host, port: endpoint.port)
    }

    /// The value with `candidate:` and without `a=`.
    package var line: String {
        var line = "candidate:\(foundation) \(component) \(transport.rawValue) \(priority) "
        line += "\(endpoint.host) \(endpoint.port) typ \(kind.rawValue)"
        if let related { line += " raddr \(related.host) rport \(related.port)" }
        if let tcpType { line += " tcptype \(tcpType.rawValue)" }
        if let usernameFragment { line += " ufrag \(usernameFragment)" }
        return line
    }

    /// RFC 8445 §5.1.2.1.
    package static func priority(_ kind: Kind, localPreference: UInt16, component: UInt16) -> UInt32 {
        kind.typePreference << 24 | UInt32(localPreference) << 8 | UInt32(256 - min(component, 256))
    }
}
