// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// Batched datagram input and output for one UDP socket: recvmmsg, sendmmsg and segmentation offload.
// These calls and their structures are not in Swift's Glibc module. Everything is allocated once.

#ifndef CDATAGRAMIO_H
#define CDATAGRAMIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "CDatagramIO_sink.h"

/// Names the calling thread, 15 characters at most, for debuggers and `top`.
void CDatagramIO_name_thread(const char *name);

/// A descriptor that becomes readable every `milliseconds`, eight bytes to be read each time; or -errno.
int CDatagramIO_ticker(uint32_t milliseconds);

/// Sleeps until one of two descriptors is readable, or for so long.
void CDatagramIO_await(int first, int second, uint64_t nanoseconds);

/// Processors that the process may run on; 1 when the system does not tell.
uint32_t CDatagramIO_processor_count(void);

/// One datagram, received or to be sent. Addresses are IPv6 or v4-mapped, as two big-endian halves in host integers:
/// `high`, `low` and `port` of the peer, `localHigh` and `localLow` of the interface it came in by or shall leave by
/// (both zero: the kernel's choice).
typedef struct {
    uint64_t high;
    uint64_t low;
    uint64_t localHigh;
    uint64_t localLow;
    uint32_t length;
    uint16_t port;
    uint16_t truncated;
} CDatagramIO_datagram;

typedef struct {
    CDatagramIO_datagram *datagrams;
    uint8_t *memory;
    uint32_t count;
    uint32_t capacity;
    void *internal;
} CDatagramIO_batch;

/// Fills in the addresses of the interfaces that are up (only `high` and `low`), link-local IPv6 left out as it needs a
/// scope. Returns how many there are, at most `count`.
uint32_t CDatagramIO_interface_addresses(CDatagramIO_datagram *addresses, uint32_t count);

/// A batch of `count` slots of `capacity` bytes each; slot i begins at memory + i * capacity. NULL when out of memory,
/// or for more than 255 slots.
CDatagramIO_batch *CDatagramIO_batch_create(uint32_t count, uint32_t capacity);
void CDatagramIO_batch_destroy(CDatagramIO_batch *batch);

/// A bound, non-blocking UDP socket, or -errno. `high`, `low`: the local address (all zero: any, both families).
/// When the kernel has no IPv6 the socket is IPv4, which callers need not know.
int CDatagramIO_open(uint64_t high, uint64_t low, uint16_t port, int bufferBytes, uint16_t *boundPort);

/// Reads what is there, at most the batch's count. The number of datagrams, 0 when none, or -errno.
int CDatagramIO_receive(int socket, CDatagramIO_batch *batch);

/// Sends the first `used` slots; those of equal size for one destination leave as one segmented message, also when they
/// belong to several RTP streams. Packets of one stream keep their order. Returns how many slots are done with: all,
/// or, when a buffer was full, fewer, and then the length of those is 0. `unreachable` is how many of them the kernel
/// refused for their destination's sake; `sentMessages` grows by the messages that they left in.
uint32_t CDatagramIO_send(
    int socket, CDatagramIO_batch *batch, uint32_t used, uint32_t *unreachable, uint64_t *sentMessages);

/// How full the socket's receive buffer is, in percent; 0 when the system does not say.
uint32_t CDatagramIO_receive_backlog(int socket);

/// Our address from which the kernel sends to a peer when it is not told one, into `low` and `high`. 1, or 0 when it
/// has no way there.
int CDatagramIO_source(uint64_t peerHigh, uint64_t peerLow, uint16_t port, uint64_t *high, uint64_t *low);

/// Has the processor fetch what will be read or written in a moment.
static inline void CDatagramIO_prefetch(const void *address) {
    __builtin_prefetch(address, 1);
}

/// For a thread that waits for another one a moment: lets the processor's other half run.
static inline void CDatagramIO_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Lets another thread have the processor.
void CDatagramIO_yield(void);

#endif
