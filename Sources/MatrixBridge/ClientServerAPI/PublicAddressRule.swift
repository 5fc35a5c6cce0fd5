// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Tells public unicast addresses from those that a stranger must not make us connect to: private, loopback,
/// link-local, shared, documentation, multicast and reserved ranges (the special-purpose registries of RFC 6890).
package enum PublicAddressRule {
    /// - Parameter octets: 4 bytes for IPv4, 16 for IPv6; any other count is not an address and not allowed.
    package static func allows(_ octets: some Collection<UInt8>) -> Bool {
        let octets = Array(octets)
        switch octets.count {
        case 4: return allowsV4(octets)
        case 16: return allowsV6(octets)
        default: return false
        }
    }

    private static func allowsV4(_ octets: [UInt8]) -> Bool {
        switch (octets[0], octets[1], octets[2]) {
        case (0, _, _), (10, _, _), (127, _, _), (169, 254, _), (192, 168, _): false
        case (100, 64...127, _), (172, 16...31, _), (198, 18...19, _): false
        case (192, 0, 0), (192, 0, 2), (192, 88, 99), (198, 51, 100), (203, 0, 113): false
        case (224..., _, _): false
        default: true
        }
    }

    private static func allowsV6(_ octets: [UInt8]) -> Bool {
        let isZeroUpTo = { (end: Int) in octets[..<end].allSatisfy { $0 == 0 } }
        // Addresses that carry an IPv4 address are judged by it: mapped, translated (RFC 6052) and 6to4.
        if isZeroUpTo(10), octets[10] == 0xFF, octets[11] == 0xFF { return allowsV4(Array(octets[12...])) }
        if octets.starts(with: [0x00, 0x64, 0xFF, 0x9B]), octets[4..<12].allSatisfy({ $0 == 0 }) {
            return allowsV4(Array(octets[12...]))
        }
        if octets.starts(with: [0x20, 0x02]) { return allowsV4(Array(octets[2..<6])) }
        // Only 2000::/3 is given out as global unicast; within it, protocol assignments and documentation are not.
        guard octets[0] & 0xE0 == 0x20 else { return false }
        if octets[0] == 0x20, octets[1] == 0x01 {
            if octets[2] & 0xFE == 0 { return false }
            if octets[2] == 0x0D, octets[3] == 0xB8 { return false }
        }
        return true
    }
}
