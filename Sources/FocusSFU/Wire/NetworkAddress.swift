// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// An IPv4 or IPv6 transport address as a plain value: hashable, comparable, without allocation.
///
/// IPv4 addresses are kept in the v4-mapped form (`::ffff:a.b.c.d`), so that one dual-stack socket serves both
/// families.
package struct NetworkAddress: Hashable, Sendable {
    /// The 16 address bytes in network order, as two big-endian halves.
    package var high: UInt64
    package var low: UInt64
    package var port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    package init(ipv4 address: UInt32, port: UInt16) {
        self.init(high: 0, low: 0x0000_FFFF_0000_0000 | UInt64(address), port: port)
    }

    /// Parses an address literal, IPv4 dotted or IPv6; nil when it is neither.
    package init?(_ literal: String, port: UInt16) {
        var v4: UInt32 = 0
        if inet_pton(AF_INET, literal, &v4) == 1 {
            self.init(ipv4: UInt32(bigEndian: v4), port: port)
            return
        }
        var v6: [UInt64] = [0, 0]
        guard inet_pton(AF_INET6, literal, &v6) == 1 else { return nil }
        self.init(high: UInt64(bigEndian: v6[0]), low: UInt64(bigEndian: v6[1]), port: port)
    }

    /// No address and no port: unspecified.
    package static let unspecified = NetworkAddress(high: 0, low: 0, port: 0)

    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
    /// The IPv4 address in host order; meaningful only when ``isIPv4``.
    package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }

    package var isLoopback: Bool {
        isIPv4 ? ipv4 >> 24 == 127 : high == 0 && low == 1
    }

    /// The address without the port, as SDP and candidates write it.
    package var host: String {
        if isIPv4 {
            return "\(ipv4 >> 24).\(ipv4 >> 16 & 255).\(ipv4 >> 8 & 255).\(ipv4 & 255)"
        }
        var address = [high.bigEndian, low.bigEndian]
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &address, &text, socklen_t(text.count)) != nil else { return "::" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension NetworkAddress: CustomStringConvertible {
    package var description: String {
        isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }
}
