// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// Our certificate: self-signed, on P-256, made when the process starts and never stored (RFC 8827 §6.5).
package final class DTLSCertificate {
    /// What session descriptions announce.
    package let fingerprint: CertificateFingerprint
    let certificate: OpaquePointer
    let key: OpaquePointer

    private static let secondsPerDay: Int64 = 86_400

    /// Makes a key and a certificate valid from a day before to a year after the given time.
    /// - Parameter unixTimeSeconds: the wall clock; peers look at the fingerprint only, some log the dates.
    package init(unixTimeSeconds: Int64) throws(DTLSError) {
        ERR_clear_error()
        guard let key = COpenSSLShims_dtls_make_key() else { throw .fromLibrary(.makeCertificate) }
        guard let certificate = X509_new() else {
            EVP_PKEY_free(key)
            throw .fromLibrary(.makeCertificate)
        }
        guard Self.fill(certificate, key: key, unixTimeSeconds: unixTimeSeconds),
            let fingerprint = CertificateFingerprint(certificate: certificate)
        else {
            let error = DTLSError.fromLibrary(.makeCertificate)
            X509_free(certificate)
            EVP_PKEY_free(key)
            throw error
        }
        self.key = key
        self.certificate = certificate
        self.fingerprint = fingerprint
    }

    deinit {
        X509_free(certificate)
        EVP_PKEY_free(key)
    }

    private static func fill(_ certificate: OpaquePointer, key: OpaquePointer, unixTimeSeconds: Int64) -> Bool {
        var serial: UInt64 = 0
        guard COpenSSLShims_random(&serial, 8) == 1 else { return false }
        let before = ASN1_TIME_set(nil, time_t(unixTimeSeconds - secondsPerDay))
        let after = ASN1_TIME_set(nil, time_t(unixTimeSeconds + 365 * secondsPerDay))
        defer {
            ASN1_STRING_free(before)
            ASN1_STRING_free(after)
        }
        guard let name = X509_get_subject_name(certificate) else { return false }
        return X509_set_version(certificate, 2) == 1
            && ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1
            && X509_set1_notBefore(certificate, before) == 1
            && X509_set1_notAfter(certificate, after) == 1
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "WebRTC", -1, -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
            && X509_set_pubkey(certificate, key) == 1
            && X509_sign(certificate, key, EVP_sha256()) > 0
    }
}
