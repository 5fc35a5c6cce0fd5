// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

extension CertificateFingerprint {
    /// The fingerprint of a certificate; nil when OpenSSL refuses.
    init?(certificate: OpaquePointer) {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard X509_digest(certificate, EVP_sha256(), &digest, &length) == 1, length == 32 else { return nil }
        self.init(bytes: digest)
    }

    /// Compares in a time that does not depend on where the bytes differ.
    func matches(_ other: CertificateFingerprint) -> Bool {
        COpenSSLShims_equal(bytes, other.bytes, 32) == 1
    }
}
