// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The SRTP packet transforms as one call each, so that a packet crosses the language border once (RFC 3711, RFC 7714).
// Initialisation vectors come as two integers, the first and the last eight bytes, high byte first.

#ifndef COPENSSLSHIMS_SRTP_H
#define COPENSSLSHIMS_SRTP_H

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

/// HMAC-SHA1 with both padded key blocks already hashed: a packet costs its own bytes and one block more.
struct COpenSSLShims_srtp_hmac {
    SHA_CTX inner;
    SHA_CTX outer;
};

// The SHA1_ functions are deprecated for new designs; EVP_MAC has no way to copy a keyed state without an allocation.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

/// Hashes the key blocks of RFC 2104 once; the session authentication key has 20 bytes.
static inline void COpenSSLShims_srtp_hmac_init(struct COpenSSLShims_srtp_hmac *hmac, const unsigned char *key) {
    unsigned char block[64];
    for (int i = 0; i < 64; i++) block[i] = (unsigned char)((i < 20 ? key[i] : 0) ^ 0x36);
    SHA1_Init(&hmac->inner);
    SHA1_Update(&hmac->inner, block, sizeof block);
    for (int i = 0; i < 64; i++) block[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&hmac->outer);
    SHA1_Update(&hmac->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

/// HMAC-SHA1 of the packet and `extraLength` bytes more (the rollover counter of an RTP packet); `tag` holds 20 bytes.
static inline void COpenSSLShims_srtp_hmac_tag(const struct COpenSSLShims_srtp_hmac *hmac, const void *packet,
                                               size_t length, uint32_t extra, size_t extraLength,
                                               unsigned char *tag) {
    unsigned char inner[SHA_DIGEST_LENGTH];
    uint32_t wireExtra = htobe32(extra);
    SHA_CTX hash = hmac->inner;
    SHA1_Update(&hash, packet, length);
    SHA1_Update(&hash, &wireExtra, extraLength);
    SHA1_Final(inner, &hash);
    hash = hmac->outer;
    SHA1_Update(&hash, inner, sizeof inner);
    SHA1_Final(tag, &hash);
}

#pragma clang diagnostic pop

/// Makes the next AES-GCM message begin with a nonce of 12 bytes; where a tag is given, it is the one to be checked.
///
/// EVP_EncryptInit_ex would do, but asks its provider for the nonce's length first, at a tenth of what a small packet
/// costs. The parameter that sets TLS's fixed part of a nonce sets the whole when its length is SIZE_MAX, the -1 of
/// EVP_CTRL_AEAD_SET_IV_FIXED. That the provider does so is seen when the context is made.
static inline int COpenSSLShims_srtp_gcm_begin(EVP_CIPHER_CTX *context, void *nonce, void *tag) {
    OSSL_PARAM parameters[3], *next = parameters;
    if (tag != NULL) *next++ = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, 16);
    *next++ = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, SIZE_MAX);
    *next = OSSL_PARAM_construct_end();
    return EVP_CIPHER_CTX_set_params(context, parameters);
}

/// A cipher context with its key set; NULL when OpenSSL refuses, or its provider does not take nonces as
/// COpenSSLShims_srtp_gcm_begin gives them: packets must never share one.
static inline EVP_CIPHER_CTX *COpenSSLShims_srtp_cipher(const EVP_CIPHER *cipher, const unsigned char *key,
                                                        int encrypt) {
    static const unsigned char zero[16];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) return NULL;
    int ready;
    if (EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE) {
        unsigned char nonce[12] = "nonce probe", taken[12] = {0};
        ready = EVP_CipherInit_ex(context, cipher, NULL, key, NULL, encrypt) == 1 &&
                COpenSSLShims_srtp_gcm_begin(context, nonce, NULL) == 1 &&
                EVP_CIPHER_CTX_get_original_iv(context, taken, sizeof taken) == 1 &&
                memcmp(nonce, taken, sizeof nonce) == 0;
    } else {
        ready = EVP_CipherInit_ex(context, cipher, NULL, key, zero, encrypt) == 1;
    }
    if (!ready) {
        EVP_CIPHER_CTX_free(context);
        return NULL;
    }
    return context;
}

/// AES in counter mode from `in` to `out`, which may be the same. Returns 1 on success.
static inline int COpenSSLShims_srtp_ctr(EVP_CIPHER_CTX *context, uint64_t ivHigh, uint64_t ivLow, const void *in,
                                         int length, void *out) {
    uint64_t iv[2] = {htobe64(ivHigh), htobe64(ivLow)};
    int written;
    return EVP_EncryptInit_ex(context, NULL, NULL, NULL, (const unsigned char *)iv) == 1 &&
           EVP_EncryptUpdate(context, (unsigned char *)out, &written, (const unsigned char *)in, length) == 1;
}

/// AES-GCM from `in` to `out`, which may be the same; the 16-byte tag goes behind the ciphertext. Two pieces are
/// authenticated only; the second may be empty. Returns 1 on success.
static inline int COpenSSLShims_srtp_gcm_seal(EVP_CIPHER_CTX *context, uint64_t ivHigh, uint64_t ivLow,
                                              const void *header, int headerLength, const void *extra,
                                              int extraLength, const void *in, int length, void *out) {
    uint64_t iv[2] = {htobe64(ivHigh), htobe64(ivLow)};
    unsigned char *bytes = (unsigned char *)out;
    int written;
    OSSL_PARAM tag[2] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, bytes + length, 16),
                         OSSL_PARAM_construct_end()};
    return COpenSSLShims_srtp_gcm_begin(context, iv, NULL) == 1 &&
           EVP_EncryptUpdate(context, NULL, &written, (const unsigned char *)header, headerLength) == 1 &&
           (extraLength == 0 ||
            EVP_EncryptUpdate(context, NULL, &written, (const unsigned char *)extra, extraLength) == 1) &&
           (length == 0 || EVP_EncryptUpdate(context, bytes, &written, (const unsigned char *)in, length) == 1) &&
           EVP_EncryptFinal_ex(context, bytes + length, &written) == 1 &&
           EVP_CIPHER_CTX_get_params(context, tag) == 1;
}

/// Decrypts `length` bytes in place and checks the tag behind them. Returns 1 when the tag is right; the bytes are
/// worthless otherwise.
static inline int COpenSSLShims_srtp_gcm_open(EVP_CIPHER_CTX *context, uint64_t ivHigh, uint64_t ivLow,
                                              const void *header, int headerLength, const void *extra,
                                              int extraLength, void *inOut, int length) {
    uint64_t iv[2] = {htobe64(ivHigh), htobe64(ivLow)};
    unsigned char *bytes = (unsigned char *)inOut;
    int written;
    return COpenSSLShims_srtp_gcm_begin(context, iv, bytes + length) == 1 &&
           EVP_DecryptUpdate(context, NULL, &written, (const unsigned char *)header, headerLength) == 1 &&
           (extraLength == 0 ||
            EVP_DecryptUpdate(context, NULL, &written, (const unsigned char *)extra, extraLength) == 1) &&
           (length == 0 || EVP_DecryptUpdate(context, bytes, &written, bytes, length) == 1) &&
           EVP_DecryptFinal_ex(context, bytes + length, &written) == 1;
}

#endif
