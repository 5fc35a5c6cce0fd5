// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// Where a LiveKit-compatible server listens: `ws://host:port/prefix`. There is no TLS here: a load test measures the
/// server behind the proxy, not the proxy.
package struct SignalURL: Equatable, Sendable {
    package enum Fault: Error, Equatable, Sendable {
        /// `wss` or `https`.
        case needsTLS
        case malformed
    }

    package let host: String
    package let port: UInt16
    /// Without a slash at the end.
    package let prefix: String

    /// Takes `ws://` and `http://`; the port is 80 when there is none, as in any URL.
    package init(_ text: String) throws(Fault) {
        guard let colons = text.firstRange(of: "://") else { throw .malformed }
        switch text[..<colons.lowerBound].lowercased() {
        case "ws", "http": break
        case "wss", "https": throw .needsTLS
        default: throw .malformed
        }
        let rest = text[colons.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var path = rest[authority.endIndex...]
        guard !authority.contains("@"), path.isEmpty || path.hasPrefix("/"), !path.contains("?") else {
            throw .malformed
        }
        while path.hasSuffix("/") { path = path.dropLast() }
        prefix = String(path)

        var name = authority
        var digits: Substring = ""
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            name = authority[authority.index(after: authority.startIndex)..<end]
            digits = authority[authority.index(after: end)...]
            guard digits.isEmpty || digits.hasPrefix(":") else { throw .malformed }
            digits = digits.dropFirst()
        } else if let colon = authority.lastIndex(of: ":") {
            name = authority[..<colon]
            digits = authority[authority.index(after: colon)...]
        }
        guard !name.isEmpty, !name.contains("["), let port = digits.isEmpty ? 80 : UInt16(digits), port > 0 else {
            throw .malformed
        }
        host = String(name)
        self.port = port
    }

    /// The value of the `Host` header.
    package var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The first address of the host; blocks while names are looked up.
    func resolve() throws(LoadTestFault) -> ResolvedAddress {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0, let first = list?.pointee, let address = first.ai_addr else {
            throw .unreachable("the name \(host) has no address: \(String(cString: gai_strerror(status)))")
        }
        let bytes = UnsafeRawBufferPointer(start: address, count: Int(first.ai_addrlen))
        return ResolvedAddress(family: first.ai_family, bytes: Array(bytes))
    }
}

/// A socket address as the system's calls take it.
struct ResolvedAddress: Sendable {
    var family: Int32
    var bytes: [UInt8]
}
