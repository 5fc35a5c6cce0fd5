// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The receiving end of a load test: many sockets with little work for each datagram. The kernel joins what the sender
// segmented (UDP_GRO), stamps what arrives, and counts what found no room.

#ifndef CDATAGRAMIO_SINK_H
#define CDATAGRAMIO_SINK_H

#include <stdint.h>
#include <sys/epoll.h>

/// One message of the kernel: a datagram, or several of `segmentLength` bytes each, the last of which may be shorter.
typedef struct {
    uint8_t *bytes;
    /// When it came to the socket's queue, nanoseconds of CLOCK_REALTIME; 0 when the kernel did not say.
    uint64_t arrival;
    /// The sender, halves as in CDatagramIO_datagram.
    uint64_t high;
    uint64_t low;
    uint32_t length;
    uint32_t segmentLength;
    uint16_t port;
} CDatagramIO_message;

typedef struct {
    CDatagramIO_message *messages;
    uint32_t count;
    void *internal;
} CDatagramIO_sink;

/// Memory for the largest messages, `count` of them, for all sockets together. NULL when out of memory.
CDatagramIO_sink *CDatagramIO_sink_create(uint32_t count);
void CDatagramIO_sink_destroy(CDatagramIO_sink *sink);

/// A non-blocking UDP socket on a port of its own, for both families where there is IPv6, or -errno.
int CDatagramIO_sink_open(int bufferBytes);

/// Reads what is there, at most the sink's count; the bytes stay until the next call. The number of messages, 0 when
/// none, or -errno.
int CDatagramIO_sink_read(int socket, CDatagramIO_sink *sink);

/// Sends one datagram to an IPv6 or v4-mapped address. 1, or 0 when it was lost here.
int CDatagramIO_sink_send(
    int socket, const void *bytes, uint32_t length, uint64_t high, uint64_t low, uint16_t port);

/// Datagrams that the kernel dropped because the socket's buffer was full.
uint32_t CDatagramIO_sink_overflow(int socket);

/// `epoll_wait` with a time limit in nanoseconds.
int CDatagramIO_wait(int epoll, struct epoll_event *events, int count, uint64_t nanoseconds);

#endif
