// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The SHA-256 of a certificate in DER form, as session descriptions carry it (RFC 8122 §5).
package struct CertificateFingerprint: Equatable, Sendable {
    /// The name of the hash in `a=fingerprint`. Other hashes are not accepted: every WebRTC endpoint offers this one.
    package static let algorithm = "sha-256"

    /// 32 bytes.
    package let bytes: [UInt8]

    /// - Returns: nil unless there are 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Parses `AB:CD:…`, letters of either case.
    /// - Returns: nil unless the text is 32 pairs of hexadecimal digits with colons between.
    package init?(hexadecimal text: some StringProtocol) {
        let pairs = Array(text.utf8).split(
            separator: UInt8(ascii: ":"), maxSplits: 32, omittingEmptySubsequences: false)
        guard pairs.count == 32 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for pair in pairs {
            guard pair.count == 2, let first = pair.first, let last = pair.last,
                let high = Self.digit(first), let low = Self.digit(last)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// `AB:CD:…` with capital letters.
    package var hexadecimal: String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(95)
        for byte in bytes {
            if !text.isEmpty { text.append(UInt8(ascii: ":")) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The value of the attribute: hash name, space, digits.
    package var attributeValue: String { "\(Self.algorithm) \(hexadecimal)" }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
