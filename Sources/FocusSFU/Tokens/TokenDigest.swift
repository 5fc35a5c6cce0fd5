// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// The two digests tokens need, over OpenSSL.
enum TokenDigest {
    /// HMAC-SHA-256, RFC 2104: 32 bytes. Nil when the library refuses.
    static func hmacSHA256(key: [UInt8], message: some Sequence<UInt8>) -> [UInt8]? {
        let message = Array(message)
        guard let keyLength = Int32(exactly: key.count) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        let done = COpenSSLShims_hmac_sha256(key, keyLength, message, message.count, &digest)
        return done == 1 ? digest : nil
    }

    /// SHA-256: 32 bytes. Nil when the library refuses.
    static func sha256(_ bytes: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: 32)
        return COpenSSLShims_sha256(bytes, bytes.count, &digest) == 1 ? digest : nil
    }

    /// Whether both are the same; the time it takes tells nothing about where they differ.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && COpenSSLShims_equal(left, right, left.count) == 1
    }
}
