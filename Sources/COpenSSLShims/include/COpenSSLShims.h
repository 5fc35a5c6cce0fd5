// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The door to OpenSSL 3: macros and variadic calls that Swift cannot import, and one-shot primitives.
// No logic lives here; a function exists only because its C form has no Swift form or needs three calls.

#ifndef COPENSSLSHIMS_H
#define COPENSSLSHIMS_H

#include "COpenSSLShims_crypto.h"
#include "COpenSSLShims_dtls.h"
#include "COpenSSLShims_srtp.h"
#include "COpenSSLShims_tls.h"

#endif
