// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Digests and comparisons of secrets.
package enum SecureHash {
    /// SHA-256 (FIPS 180-4), 32 bytes.
    package static func sha256(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let input = Array(bytes)
        var digest = [UInt8](repeating: 0, count: 32)
        _ = input.withUnsafeBytes { COpenSSLShims_sha256($0.baseAddress, $0.count, &digest) }
        return digest
    }

    /// Whether two secrets are equal, in a time that tells nothing about where or whether they differ, nor about the
    /// length of either: their digests are compared.
    package static func areEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (sha256(left.utf8), sha256(right.utf8))
        return COpenSSLShims_equal(left, right, left.count) == 1
    }
}
