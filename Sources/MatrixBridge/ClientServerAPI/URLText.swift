// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Builds URLs out of text that may hold anything: everything but the unreserved characters of RFC 3986 §2.3 is
/// percent-encoded, so that a slash or plus in a room id or token stays inside its component.
package enum URLText {
    package static func escape(_ component: String) -> String {
        var escaped: [UInt8] = []
        for byte in component.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                escaped.append(byte)
            default:
                escaped.append(UInt8(ascii: "%"))
                escaped.append(hexDigit(byte >> 4))
                escaped.append(hexDigit(byte & 15))
            }
        }
        return String(decoding: escaped, as: UTF8.self)
    }

    /// `base` with the path components and the query appended.
    package static func join(_ base: String, _ path: [String], query: [(String, String)] = []) -> String {
        let path = path.map { "/" + escape($0) }.joined()
        let query = query.map { escape($0.0) + "=" + escape($0.1) }.joined(separator: "&")
        return base + path + (query.isEmpty ? "" : "?" + query)
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
