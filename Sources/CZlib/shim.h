// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#include <zlib.h>

/// inflateInit2 is a macro; 47 = 32 KiB window, gzip or zlib header detected.
static inline int CZlib_inflateInit(z_stream *stream) {
    return inflateInit2(stream, 47);
}
