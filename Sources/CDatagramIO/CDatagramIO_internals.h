// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// What the two directions of a batch share; not for Swift.

#ifndef CDATAGRAMIO_INTERNALS_H
#define CDATAGRAMIO_INTERNALS_H

#include "CDatagramIO.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { destinationSlots = 256, noGroup = UINT16_MAX };

/// Datagrams that leave in one message: for one destination, of one size but for a shorter last one.
typedef struct {
    uint16_t first;
    uint16_t last;
    uint16_t count;
    /// The group for the same destination before this one.
    uint16_t earlier;
    uint32_t size;
    uint32_t bytes;
    /// One bit for each hashed RTP stream that is in it.
    uint64_t streams;
} CDatagramIO_group;

typedef struct {
    struct mmsghdr *messages;
    struct iovec *vectors;
    struct sockaddr_storage *addresses;
    uint8_t *control;
    CDatagramIO_group *groups;
    /// For each slot, the next one of its group.
    uint16_t *followers;
    /// The newest group of each destination, by its hash.
    uint16_t newest[destinationSlots];
    /// Message headers that the last read has written to.
    uint32_t touched;
    int family;
    int segmentation;
} internals;

// Segment size and source address, or the address a datagram came to.
static const size_t controlBytes = CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo));

socklen_t CDatagramIO_fill_address(
    struct sockaddr_storage *out, int family, uint64_t high, uint64_t low, uint16_t port);

#endif
