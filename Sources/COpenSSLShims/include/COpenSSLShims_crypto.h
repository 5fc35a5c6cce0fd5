// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef COPENSSLSHIMS_CRYPTO_H
#define COPENSSLSHIMS_CRYPTO_H

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

/// HMAC with one call; `out` holds at least 20 (SHA-1) or 32 (SHA-256) bytes. Returns 1 on success.
static inline int COpenSSLShims_hmac_sha1(const void *key, int keyLength, const void *data, size_t length,
                                          unsigned char *out) {
    unsigned int written = 0;
    return HMAC(EVP_sha1(), key, keyLength, (const unsigned char *)data, length, out, &written) != NULL;
}

static inline int COpenSSLShims_hmac_sha256(const void *key, int keyLength, const void *data, size_t length,
                                            unsigned char *out) {
    unsigned int written = 0;
    return HMAC(EVP_sha256(), key, keyLength, (const unsigned char *)data, length, out, &written) != NULL;
}

/// SHA-256 with one call; `out` holds 32 bytes.
static inline int COpenSSLShims_sha256(const void *data, size_t length, unsigned char *out) {
    return EVP_Digest(data, length, out, NULL, EVP_sha256(), NULL);
}

/// MD5 with one call, for the key of STUN's long-term credentials (RFC 8489 §9.2.2) and nothing else; `out` holds 16
/// bytes. Returns 1 on success.
static inline int COpenSSLShims_md5(const void *data, size_t length, unsigned char *out) {
    return EVP_Digest(data, length, out, NULL, EVP_md5(), NULL);
}

/// Cryptographically secure random bytes. Returns 1 on success.
static inline int COpenSSLShims_random(void *out, int length) {
    return RAND_bytes((unsigned char *)out, length);
}

/// 1 when both buffers hold the same bytes; the time taken does not depend on where they differ.
static inline int COpenSSLShims_equal(const void *a, const void *b, size_t length) {
    return CRYPTO_memcmp(a, b, length) == 0;
}

/// HKDF-SHA-256, extract and expand (RFC 5869 §2). Returns 1 on success.
static inline int COpenSSLShims_hkdf_sha256(const void *key, int keyLength, const void *salt, int saltLength,
                                            const void *info, int infoLength, void *out, size_t outLength) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    int done = context != NULL && EVP_PKEY_derive_init(context) == 1
               && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) == 1
               && EVP_PKEY_CTX_set1_hkdf_salt(context, (const unsigned char *)salt, saltLength) == 1
               && EVP_PKEY_CTX_set1_hkdf_key(context, (const unsigned char *)key, keyLength) == 1
               && EVP_PKEY_CTX_add1_hkdf_info(context, (const unsigned char *)info, infoLength) == 1
               && EVP_PKEY_derive(context, (unsigned char *)out, &outLength) == 1;
    EVP_PKEY_CTX_free(context);
    return done;
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2). Returns 1 on success.
static inline int COpenSSLShims_pbkdf2_sha256(const void *password, int passwordLength, const void *salt,
                                              int saltLength, int iterations, void *out, int outLength) {
    return PKCS5_PBKDF2_HMAC((const char *)password, passwordLength, (const unsigned char *)salt, saltLength,
                             iterations, EVP_sha256(), outLength, (unsigned char *)out);
}

/// AES-128-GCM over a whole message, 12-byte nonce; `out` holds `length` bytes and the 16 of the tag after them.
/// Returns 1 on success.
static inline int COpenSSLShims_aes128_gcm_seal(const void *key, const void *nonce, const void *associated,
                                                int associatedLength, const void *plain, int length, void *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char *sealed = (unsigned char *)out;
    int written = 0;
    int done = context != NULL
               && EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, (const unsigned char *)key,
                                     (const unsigned char *)nonce) == 1
               && (associatedLength == 0
                   || EVP_EncryptUpdate(context, NULL, &written, (const unsigned char *)associated,
                                        associatedLength) == 1)
               && (length == 0
                   || EVP_EncryptUpdate(context, sealed, &written, (const unsigned char *)plain, length) == 1)
               && EVP_EncryptFinal_ex(context, sealed + length, &written) == 1
               && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, 16, sealed + length) == 1;
    EVP_CIPHER_CTX_free(context);
    return done;
}

/// The reverse: `sealed` is `length` bytes and the tag after them. Returns 1 when the tag is right; otherwise `out`
/// holds nothing to believe.
static inline int COpenSSLShims_aes128_gcm_open(const void *key, const void *nonce, const void *associated,
                                                int associatedLength, const void *sealed, int length, void *out) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const unsigned char *input = (const unsigned char *)sealed;
    unsigned char *plain = (unsigned char *)out;
    unsigned char rest[16];
    int written = 0;
    int done = context != NULL
               && EVP_DecryptInit_ex(context, EVP_aes_128_gcm(), NULL, (const unsigned char *)key,
                                     (const unsigned char *)nonce) == 1
               && (associatedLength == 0
                   || EVP_DecryptUpdate(context, NULL, &written, (const unsigned char *)associated,
                                        associatedLength) == 1)
               && (length == 0 || EVP_DecryptUpdate(context, plain, &written, input, length) == 1)
               && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, (void *)(input + length)) == 1
               && EVP_DecryptFinal_ex(context, rest, &written) == 1;
    EVP_CIPHER_CTX_free(context);
    return done;
}

#endif
