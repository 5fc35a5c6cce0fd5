// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

extension NetworkAddress {
    /// The first IPv4 address of a host name or literal, by the system's resolver; nil when it has none.
    ///
    /// Blocks as long as the resolver does.
    package static func resolvingIPv4(_ host: String, port: UInt16) -> NetworkAddress? {
        var hints = addrinfo()
        hints.ai_family = AF_INET
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0, let list else { return nil }
        defer { freeaddrinfo(list) }
        guard list.pointee.ai_family == AF_INET, let address = list.pointee.ai_addr else { return nil }
        let number = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
        return NetworkAddress(ipv4: UInt32(bigEndian: number), port: port)
    }
}
