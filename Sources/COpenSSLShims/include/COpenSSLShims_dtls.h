// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef COPENSSLSHIMS_DTLS_H
#define COPENSSLSHIMS_DTLS_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>

/// Variadic in OpenSSL. A fresh P-256 key pair, or NULL.
static inline EVP_PKEY *COpenSSLShims_dtls_make_key(void) {
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

/// A peer's certificate is self-signed: trust comes from the fingerprint in its session description (RFC 8122), which
/// the owner of the connection compares before it releases any key.
static inline int COpenSSLShims_dtls_accept_certificate(X509_STORE_CTX *store, void *unused) {
    (void)store;
    (void)unused;
    return 1;
}

/// The settings of a context that are macros: DTLS 1.2 only, no session resumption, bounded certificates.
static inline int COpenSSLShims_dtls_configure(SSL_CTX *context, long longestCertificateChain) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, longestCertificateChain);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, COpenSSLShims_dtls_accept_certificate, NULL);
    // The write buffer is as long as a record may be, 16 KiB unless told; no datagram of ours has 2.
    return SSL_CTX_set_max_send_fragment(context, 2048) == 1 &&
           SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1;
}

/// The application data slot of an SSL object holds the next duration of its timer, a plain number.
static inline unsigned int COpenSSLShims_dtls_timer(SSL *ssl, unsigned int previous) {
    (void)previous;
    return (unsigned int)(uintptr_t)SSL_get_app_data(ssl);
}

static inline void COpenSSLShims_dtls_set_timer_microseconds(SSL *ssl, unsigned int microseconds) {
    SSL_set_app_data(ssl, (void *)(uintptr_t)microseconds);
}

/// A connection over two memory BIOs which it owns; NULL when OpenSSL refuses.
static inline SSL *COpenSSLShims_dtls_make_connection(SSL_CTX *context, long datagramLimit, BIO **input,
                                                      BIO **output) {
    SSL *ssl = SSL_new(context);
    *input = BIO_new(BIO_s_mem());
    *output = BIO_new(BIO_s_mem());
    if (ssl == NULL || *input == NULL || *output == NULL) {
        SSL_free(ssl);
        BIO_free(*input);
        BIO_free(*output);
        return NULL;
    }
    BIO_set_mem_eof_return(*input, -1);
    BIO_set_mem_eof_return(*output, -1);
    SSL_set_bio(ssl, *input, *output);
    SSL_set_mtu(ssl, datagramLimit);
    SSL_set_max_send_fragment(ssl, datagramLimit);
    DTLS_set_timer_cb(ssl, COpenSSLShims_dtls_timer);
    return ssl;
}

/// What was written to a memory BIO and not yet reset.
static inline long COpenSSLShims_dtls_pending(BIO *bio, const void **bytes) {
    char *start = NULL;
    long length = BIO_get_mem_data(bio, &start);
    *bytes = start;
    return length;
}

static inline void COpenSSLShims_dtls_discard(BIO *bio) {
    (void)BIO_reset(bio);
}

/// Sends the last flight again under new record numbers. 1 when sent, 0 when OpenSSL's own timer has not expired.
static inline long COpenSSLShims_dtls_retransmit(SSL *ssl) {
    return DTLSv1_handle_timeout(ssl);
}

#endif
