// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The least a forwarded packet can cost on one thread: a header of 12 bytes, AES-128-GCM of the shared payload with a
// kept cipher context, a slot in a batch. What the Swift path is compared with.

#ifndef CHOTLOOP_H
#define CHOTLOOP_H

#include <stdint.h>

typedef struct CHotLoop CHotLoop;

/// `count` subscribers with keys of their own; NULL when the cipher cannot be had.
CHotLoop *CHotLoop_create(uint32_t count);
void CHotLoop_destroy(CHotLoop *loop);

/// Forwards `packets` packets of `length` bytes of payload to each subscriber; 1 on success.
int CHotLoop_run(CHotLoop *loop, uint32_t packets, const uint8_t *payload, uint32_t length);

#endif
