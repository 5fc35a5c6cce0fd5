// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#define _GNU_SOURCE
#include "CDatagramIO_internals.h"

#include <endian.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

// The kernel takes at most 64 segments and one IP datagram's worth of bytes in a message. Four groups are looked at for
// each destination: sizes repeat (sound, whole video packets), and a long search would cost more than it saves.
enum { maximumSegments = 32, maximumMessageBytes = 60000, maximumSearch = 4 };

static int familyOf(int socket) {
    int family = AF_INET6;
    socklen_t length = sizeof family;
    getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &length);
    return family;
}

/// Appends one control message; the buffer has room for all of them.
static void addControl(struct msghdr *header, int level, int type, const void *value, size_t length) {
    struct cmsghdr *control = (struct cmsghdr *)((uint8_t *)header->msg_control + header->msg_controllen);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(control), value, length);
    header->msg_controllen += CMSG_SPACE(length);
}

static void addLocalAddress(struct msghdr *header, int family, const CDatagramIO_datagram *datagram) {
    if (datagram->localHigh == 0 && datagram->localLow == 0) return;
    if (family == AF_INET) {
        struct in_pktinfo information;
        memset(&information, 0, sizeof information);
        information.ipi_spec_dst.s_addr = htonl((uint32_t)datagram->localLow);
        addControl(header, IPPROTO_IP, IP_PKTINFO, &information, sizeof information);
        return;
    }
    struct in6_pktinfo information;
    memset(&information, 0, sizeof information);
    uint64_t halves[2] = { htobe64(datagram->localHigh), htobe64(datagram->localLow) };
    memcpy(&information.ipi6_addr, halves, sizeof halves);
    addControl(header, IPPROTO_IPV6, IPV6_PKTINFO, &information, sizeof information);
}

/// One message goes to one address, and leaves by one of ours.
static int sameDestination(const CDatagramIO_datagram *a, const CDatagramIO_datagram *b) {
    return a->low == b->low && a->port == b->port && a->high == b->high && a->localLow == b->localLow
        && a->localHigh == b->localHigh;
}

/// Where the newest group of this destination is noted: its own place, or an empty one.
static uint16_t *newestGroup(internals *own, const CDatagramIO_batch *batch, const CDatagramIO_datagram *datagram) {
    uint64_t mixed = (datagram->low ^ datagram->high ^ (uint64_t)datagram->port << 32) * 0x9E3779B97F4A7C15ull;
    // A batch has fewer destinations than there are places, so the search ends.
    for (uint32_t place = mixed >> 56;; place = (place + 1) % destinationSlots) {
        uint16_t group = own->newest[place];
        if (group == noGroup || sameDestination(&batch->datagrams[own->groups[group].first], datagram))
            return &own->newest[place];
    }
}

/// A bit for the RTP stream of a datagram, by its SSRC; what is not RTP counts as one stream, which keeps its order.
static uint64_t streamBit(const uint8_t *bytes, uint32_t length) {
    if (length < 12 || bytes[0] >> 6 != 2) return 1;
    uint32_t ssrc;
    memcpy(&ssrc, bytes + 8, sizeof ssrc);
    return 1ull << (ssrc * 0x9E3779B1u >> 26);
}

/// The group that a datagram may join without overtaking one of its own stream, or noGroup.
static uint16_t groupFor(const internals *own, uint16_t newest, uint32_t length, uint64_t stream) {
    uint16_t candidate = newest;
    for (int seen = 0; candidate != noGroup && seen < maximumSearch; seen++) {
        const CDatagramIO_group *group = &own->groups[candidate];
        // A group that ends with a shorter datagram is complete: its bytes are not a multiple of its size.
        if (length <= group->size && group->bytes == group->count * group->size && group->count < maximumSegments
            && group->bytes + length <= maximumMessageBytes)
            return candidate;
        if (group->streams & stream) return noGroup;
        candidate = group->earlier;
    }
    return noGroup;
}

/// Sorts the slots into groups, in the order of each group's first slot; returns how many there are.
static uint32_t makeGroups(internals *own, const CDatagramIO_batch *batch, uint32_t used) {
    uint32_t count = 0;
    memset(own->newest, 0xFF, sizeof own->newest);
    for (uint32_t slot = 0; slot < used; slot++) {
        const CDatagramIO_datagram *datagram = &batch->datagrams[slot];
        uint64_t stream = streamBit(batch->memory + (size_t)slot * batch->capacity, datagram->length);
        uint16_t *newest = newestGroup(own, batch, datagram);
        uint16_t joined = own->segmentation ? groupFor(own, *newest, datagram->length, stream) : noGroup;
        if (joined == noGroup) {
            own->groups[count] = (CDatagramIO_group) {
                .first = (uint16_t)slot, .last = (uint16_t)slot, .count = 1, .earlier = *newest,
                .size = datagram->length, .bytes = datagram->length, .streams = stream };
            *newest = (uint16_t)count++;
        } else {
            CDatagramIO_group *group = &own->groups[joined];
            own->followers[group->last] = (uint16_t)slot;
            group->last = (uint16_t)slot;
            group->count++;
            group->bytes += datagram->length;
            group->streams |= stream;
        }
    }
    return count;
}

/// Describes one group to the kernel; returns how many vectors it took.
static uint32_t describe(internals *own, const CDatagramIO_batch *batch, uint32_t index, struct iovec *vectors) {
    const CDatagramIO_group *group = &own->groups[index];
    uint16_t slot = group->first;
    for (uint16_t i = 0; i < group->count; i++, slot = own->followers[slot]) {
        vectors[i].iov_base = batch->memory + (size_t)slot * batch->capacity;
        vectors[i].iov_len = batch->datagrams[slot].length;
    }
    const CDatagramIO_datagram *first = &batch->datagrams[group->first];
    struct msghdr *header = &own->messages[index].msg_hdr;
    header->msg_name = &own->addresses[index];
    header->msg_namelen =
        CDatagramIO_fill_address(&own->addresses[index], own->family, first->high, first->low, first->port);
    header->msg_iov = vectors;
    header->msg_iovlen = group->count;
    header->msg_flags = 0;
    header->msg_control = own->control + index * controlBytes;
    header->msg_controllen = 0;
    addLocalAddress(header, own->family, first);
    if (group->count > 1) {
        uint16_t size = (uint16_t)group->size;
        addControl(header, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (header->msg_controllen == 0) header->msg_control = NULL;
    return group->count;
}

/// Marks the slots of the groups before `done`, so that the caller knows those that are left.
static void markDone(const internals *own, CDatagramIO_batch *batch, uint32_t done) {
    for (uint32_t index = 0; index < done; index++) {
        uint16_t slot = own->groups[index].first;
        for (uint16_t i = 0; i < own->groups[index].count; i++, slot = own->followers[slot])
            batch->datagrams[slot].length = 0;
    }
}

/// Sends the datagrams of a group one by one; returns how many the kernel refused.
static uint32_t sendSingly(
    int socket, internals *own, const CDatagramIO_batch *batch, uint32_t index, uint64_t *sentMessages) {
    struct msghdr *header = &own->messages[index].msg_hdr;
    uint32_t refused = 0;
    header->msg_control = own->control + index * controlBytes;
    header->msg_controllen = 0;
    addLocalAddress(header, own->family, &batch->datagrams[own->groups[index].first]);
    header->msg_iovlen = 1;
    for (uint16_t i = 0; i < own->groups[index].count; i++, header->msg_iov++) {
        if (sendmsg(socket, header, MSG_DONTWAIT) < 0) refused++;
        else (*sentMessages)++;
    }
    return refused;
}

uint32_t CDatagramIO_send(
    int socket, CDatagramIO_batch *batch, uint32_t used, uint32_t *unreachable, uint64_t *sentMessages) {
    internals *own = batch->internal;
    if (own->family == AF_UNSPEC) {
        own->family = familyOf(socket);
        int zero = 0;
        own->segmentation = setsockopt(socket, SOL_UDP, UDP_SEGMENT, &zero, sizeof zero) == 0;
    }
    uint32_t messages = makeGroups(own, batch, used);
    struct iovec *vectors = own->vectors;
    for (uint32_t index = 0; index < messages; index++) vectors += describe(own, batch, index, vectors);
    uint32_t doneSlots = 0;
    uint32_t done = 0;
    while (done < messages) {
        int sent = sendmmsg(socket, own->messages + done, messages - done, MSG_DONTWAIT);
        if (sent > 0) {
            *sentMessages += (unsigned)sent;
            for (int i = 0; i < sent; i++) doneSlots += own->groups[done + i].count;
            done += (unsigned)sent;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            markDone(own, batch, done);
            break;
        } else {
            // One unreachable destination must not cost the others their packets. A device that cannot segment (EIO)
            // never sees a segmented message again; datagrams above a path's MTU (EINVAL) may be fragmented but not
            // segmented, so they are sent one by one.
            uint32_t slots = own->groups[done].count;
            if (errno == EIO) own->segmentation = 0;
            doneSlots += slots;
            *unreachable += slots > 1 ? sendSingly(socket, own, batch, done, sentMessages) : 1;
            done++;
        }
    }
    return doneSlots;
}
