// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// res_ninit and its family are macros over a per-caller state: one call that makes the state, asks, and drops it.
#ifndef CALLBRIDGE_CRESOLV_H
#define CALLBRIDGE_CRESOLV_H

#include <netinet/in.h>
#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>
#include <sys/socket.h>

// Types of sockets: in whole-module builds the names of the system are not to be had from Swift's Glibc module.
static const int CResolv_datagram = SOCK_DGRAM;
static const int CResolv_stream = SOCK_STREAM;
static const int CResolv_nonBlocking = SOCK_NONBLOCK | SOCK_CLOEXEC;

// Asks for the SRV records of `name`. Blocks up to the given seconds for each of two attempts.
// Returns the length of the raw DNS answer, or -1 when there is none.
static inline int CResolv_querySRV(const char *name, int timeoutSeconds, unsigned char *answer, int capacity) {
    struct __res_state state;
    memset(&state, 0, sizeof(state));
    if (res_ninit(&state) != 0) {
        return -1;
    }
    state.retrans = timeoutSeconds;
    state.retry = 1;
    int length = res_nquery(&state, name, ns_c_in, ns_t_srv, answer, capacity);
    res_nclose(&state);
    return length > capacity ? capacity : length;
}

#endif
