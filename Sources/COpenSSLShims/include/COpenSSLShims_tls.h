// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#ifndef COPENSSLSHIMS_TLS_H
#define COPENSSLSHIMS_TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

/// Macros in OpenSSL. Return 1 on success.
static inline int COpenSSLShims_setMinimumTLS12(SSL *session) {
    return SSL_set_min_proto_version(session, TLS1_2_VERSION) == 1;
}

static inline int COpenSSLShims_setServerName(SSL *session, const char *name) {
    return SSL_set_tlsext_host_name(session, name) == 1;
}

#endif
