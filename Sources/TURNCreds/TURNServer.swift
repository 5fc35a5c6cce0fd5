// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Why text is no TURN URI, or values make none.
package enum TURNServerFault: Error, Equatable, Sendable {
    /// Neither `turn:` nor `turns:`.
    case scheme
    case host
    /// Not a number from 1 to 65535.
    case port
    /// `transport=` with another word than udp and tcp, or another parameter.
    case parameter
    /// `turns:` over UDP is DTLS, which browsers do not speak to TURN servers.
    case dtls
}

/// Where a TURN server listens: a `turn:` or `turns:` URI, RFC 7065 §3.
package struct TURNServer: Hashable, Sendable {
    /// How clients reach the server; in the order in which they should try.
    package enum Transport: String, CaseIterable, Comparable, Sendable {
        case udp
        case tcp
        /// TLS over TCP.
        case tls

        package var defaultPort: UInt16 { self == .tls ? 5349 : 3478 }

        package static func < (left: Self, right: Self) -> Bool {
            left.order < right.order
        }

        private var order: Int {
            switch self {
            case .udp: 0
            case .tcp: 1
            case .tls: 2
            }
        }
    }

    /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
    package let host: String
    package let port: UInt16
    package let transport: Transport

    /// - Parameters:
    ///   - host: A DNS name or an address; brackets around IPv6 are allowed.
    ///   - port: Nil for the transport's default.
    package init(host: String, port: UInt16? = nil, transport: Transport) throws(TURNServerFault) {
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard Self.isIPv6(bare) || (bare == host && Self.isName(bare)) else { throw .host }
        guard port != 0 else { throw .port }
        self.host = bare
        self.port = port ?? transport.defaultPort
        self.transport = transport
    }

    /// Reads a URI.
    package init(uri: String) throws(TURNServerFault) {
        let isSecure = uri.hasPrefix("turns:")
        guard isSecure || uri.hasPrefix("turn:") else { throw .scheme }
        let rest = uri.dropFirst(isSecure ? 6 : 5)
        let queryStart = rest.firstIndex(of: "?") ?? rest.endIndex
        let transport = try Self.transport(in: rest[queryStart...], isSecure: isSecure)

        let authority = rest[..<queryStart]
        let hostEnd: Substring.Index
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { throw .host }
            hostEnd = authority.index(after: bracket)
        } else {
            hostEnd = authority.firstIndex(of: ":") ?? authority.endIndex
        }
        var port: UInt16?
        if hostEnd != authority.endIndex {
            let digits = authority[hostEnd...].dropFirst()
            guard authority[hostEnd] == ":", !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = UInt16(digits), number > 0
            else { throw .port }
            port = number
        }
        try self.init(host: String(authority[..<hostEnd]), port: port, transport: transport)
    }

    /// The URI, with port and transport written out.
    package var uri: String {
        let authority = host.contains(":") ? "[\(host)]" : host
        return switch transport {
        case .udp: "turn:\(authority):\(port)?transport=udp"
        case .tcp: "turn:\(authority):\(port)?transport=tcp"
        case .tls: "turns:\(authority):\(port)?transport=tcp"
        }
    }

    private static func transport(in query: Substring, isSecure: Bool) throws(TURNServerFault) -> Transport {
        switch (query, isSecure) {
        case ("", false), ("?transport=udp", false): return .udp
        case ("?transport=tcp", false): return .tcp
        case ("", true), ("?transport=tcp", true): return .tls
        case ("?transport=udp", true): throw .dtls
        default: throw .parameter
        }
    }

    private static func isIPv6(_ text: String) -> Bool {
        var address = in6_addr()
        return !text.utf8.contains(0) && inet_pton(AF_INET6, text, &address) == 1
    }

    /// A DNS name, RFC 1123 §2.1; where the last label is a number, an IPv4 address.
    private static func isName(_ text: String) -> Bool {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last else { return false }
        if !last.isEmpty, last.allSatisfy({ (0x30...0x39).contains($0) }) {
            var address = in_addr()
            return inet_pton(AF_INET, text, &address) == 1
        }
        let hyphen = UInt8(ascii: "-")
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
                && label.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), hyphen, UInt8(ascii: "_"):
                        true
                    default:
                        false
                    }
                }
        }
    }
}
