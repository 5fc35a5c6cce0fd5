// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// libsrtp2, an independent SRTP implementation; only tests link it.
#include <srtp2/srtp.h>
