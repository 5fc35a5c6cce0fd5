// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// The settings that all DTLS connections of the process share: certificate, ciphers, SRTP profiles.
///
/// DTLS 1.2 only (RFC 8827 §6.5), forward-secret AEAD suites, no resumption, no renegotiation. Every certificate passes
/// at this level: ``DTLSSession`` compares its fingerprint before any key leaves.
///
/// Sendable because nothing changes after `init`, and OpenSSL counts references to a context atomically, which is all
/// that making connections from several threads does to it.
package final class DTLSContext: @unchecked Sendable {
    package let fingerprint: CertificateFingerprint
    let context: OpaquePointer

    /// Bytes of a peer's certificate chain, more than any browser's self-signed certificate has.
    private static let longestCertificateChain = 16_384
    private static let cipherList =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
        + ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

    /// - Parameter profiles: what to negotiate, most wanted first, in OpenSSL's words.
    package init(
        certificate: DTLSCertificate,
        profiles: String = SRTPProfile.negotiationList
    ) throws(DTLSError) {
        ERR_clear_error()
        guard let context = SSL_CTX_new(DTLS_method()) else { throw .fromLibrary(.makeContext) }
        // use_srtp answers 0 on success, unlike everything else.
        guard COpenSSLShims_dtls_configure(context, Self.longestCertificateChain) == 1,
            SSL_CTX_set_cipher_list(context, Self.cipherList) == 1,
            SSL_CTX_set_tlsext_use_srtp(context, profiles) == 0,
            SSL_CTX_use_certificate(context, certificate.certificate) == 1,
            SSL_CTX_use_PrivateKey(context, certificate.key) == 1
        else {
            let error = DTLSError.fromLibrary(.makeContext)
            SSL_CTX_free(context)
            throw error
        }
        self.context = context
        fingerprint = certificate.fingerprint
    }

    deinit {
        SSL_CTX_free(context)
    }
}
