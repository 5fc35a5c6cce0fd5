// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A homeserver: DNS name, IPv4 address or bracketed IPv6 address, with an optional port.
///
/// Matrix specification, "Server Name". Compared as written, which is how servers sign.
package struct ServerName: MatrixIdentifier {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue) else { return nil }
        let utf8 = rawValue.utf8
        let afterHost: Substring.UTF8View
        if utf8.first == UInt8(ascii: "[") {
            guard let end = utf8.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let address = utf8[utf8.index(after: utf8.startIndex)..<end]
            guard (2...45).contains(address.count), address.allSatisfy(Self.isIPv6Byte) else { return nil }
            afterHost = utf8[utf8.index(after: end)...]
        } else {
            let end = utf8.firstIndex(of: UInt8(ascii: ":")) ?? utf8.endIndex
            let host = utf8[..<end]
            guard !host.isEmpty, host.allSatisfy(Self.isDNSByte) else { return nil }
            afterHost = utf8[end...]
        }
        guard afterHost.isEmpty || Self.isPortSuffix(afterHost) else { return nil }
        self.rawValue = rawValue
    }

    /// A colon and one to five digits.
    private static func isPortSuffix(_ suffix: Substring.UTF8View) -> Bool {
        suffix.first == UInt8(ascii: ":") && (2...6).contains(suffix.count) && suffix.dropFirst().allSatisfy(isDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isDNSByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: isDigit(byte)
        }
    }

    private static func isIPv6Byte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
        case UInt8(ascii: ":"), UInt8(ascii: "."): true
        default: isDigit(byte)
        }
    }
}
