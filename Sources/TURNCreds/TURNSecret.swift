// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import FoundationEssentials

/// The secret that coturn (`static-auth-secret` or its `turn_secret` table) shares with those who issue credentials.
///
/// Printing or dumping it shows the fingerprint, never the secret.
package struct TURNSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let bytes: [UInt8]

    /// Nil when `text` is empty.
    package init?(_ text: String) {
        guard !text.isEmpty else { return nil }
        bytes = Array(text.utf8)
    }

    /// 256 random bits in base64, as coturn's own tools would take it; nil when there is no randomness to be had.
    package static func random() -> TURNSecret? {
        var random = [UInt8](repeating: 0, count: 32)
        guard COpenSSLShims_random(&random, Int32(random.count)) == 1 else { return nil }
        return TURNSecret(Data(random).base64EncodedString())
    }

    /// The secret itself: for the server's store and our own, never for a person or a log.
    package var exposed: String { String(decoding: bytes, as: UTF8.self) }

    /// The first eight hexadecimal digits of the SHA-256: enough to see which of two secrets is in use.
    package var fingerprint: String {
        var digest = [UInt8](repeating: 0, count: 32)
        guard COpenSSLShims_sha256(bytes, bytes.count, &digest) == 1 else { return "" }
        return Hexadecimal.text(of: digest.prefix(4))
    }

    package var description: String { "TURNSecret(fingerprint \(fingerprint))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["fingerprint": fingerprint]) }
}

enum Hexadecimal {
    static func text(of bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
