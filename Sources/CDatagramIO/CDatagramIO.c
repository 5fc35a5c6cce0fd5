// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#define _GNU_SOURCE
#include "CDatagramIO_internals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

void CDatagramIO_name_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

int CDatagramIO_ticker(uint32_t milliseconds) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct timespec period = { .tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000 };
    struct itimerspec timer = { .it_interval = period, .it_value = period };
    if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL) != 0) {
        int reason = errno;
        if (fd >= 0) close(fd);
        return -reason;
    }
    return fd;
}

void CDatagramIO_await(int first, int second, uint64_t nanoseconds) {
    struct pollfd watched[] = { { .fd = first, .events = POLLIN }, { .fd = second, .events = POLLIN } };
    struct timespec limit = {
        .tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000) };
    ppoll(watched, 2, &limit, NULL);
}

uint32_t CDatagramIO_processor_count(void) {
    cpu_set_t processors;
    return sched_getaffinity(0, sizeof processors, &processors) == 0 ? (uint32_t)CPU_COUNT(&processors) : 1;
}

uint32_t CDatagramIO_interface_addresses(CDatagramIO_datagram *addresses, uint32_t count) {
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) return 0;
    uint32_t found = 0;
    for (struct ifaddrs *entry = list; entry != NULL && found < count; entry = entry->ifa_next) {
        if (entry->ifa_addr == NULL || (entry->ifa_flags & IFF_UP) == 0) continue;
        CDatagramIO_datagram *address = &addresses[found];
        memset(address, 0, sizeof *address);
        if (entry->ifa_addr->sa_family == AF_INET) {
            address->low = 0x0000FFFF00000000ull | ntohl(((struct sockaddr_in *)entry->ifa_addr)->sin_addr.s_addr);
        } else if (entry->ifa_addr->sa_family == AF_INET6) {
            struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)entry->ifa_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) continue;
            uint64_t halves[2];
            memcpy(halves, &v6->sin6_addr, sizeof halves);
            address->high = be64toh(halves[0]);
            address->low = be64toh(halves[1]);
        } else {
            continue;
        }
        found++;
    }
    freeifaddrs(list);
    return found;
}

CDatagramIO_batch *CDatagramIO_batch_create(uint32_t count, uint32_t capacity) {
    if (count >= destinationSlots) return NULL;
    CDatagramIO_batch *batch = calloc(1, sizeof *batch);
    internals *own = calloc(1, sizeof *own);
    if (batch == NULL || own == NULL) {
        free(batch);
        free(own);
        return NULL;
    }
    batch->count = count;
    batch->capacity = capacity;
    batch->internal = own;
    batch->datagrams = calloc(count, sizeof *batch->datagrams);
    batch->memory = aligned_alloc(64, ((size_t)count * capacity + 63) / 64 * 64);
    own->messages = calloc(count, sizeof *own->messages);
    own->vectors = calloc(count, sizeof *own->vectors);
    own->addresses = calloc(count, sizeof *own->addresses);
    own->control = calloc(count, controlBytes);
    own->groups = calloc(count, sizeof *own->groups);
    own->followers = calloc(count, sizeof *own->followers);
    own->family = AF_UNSPEC;
    own->segmentation = -1;
    if (batch->datagrams == NULL || batch->memory == NULL || own->messages == NULL || own->vectors == NULL
        || own->addresses == NULL || own->control == NULL || own->groups == NULL || own->followers == NULL) {
        CDatagramIO_batch_destroy(batch);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        own->vectors[i].iov_base = batch->memory + (size_t)i * capacity;
        own->vectors[i].iov_len = capacity;
    }
    own->touched = count;
    return batch;
}

void CDatagramIO_batch_destroy(CDatagramIO_batch *batch) {
    if (batch == NULL) return;
    internals *own = batch->internal;
    free(own->messages);
    free(own->vectors);
    free(own->addresses);
    free(own->control);
    free(own->groups);
    free(own->followers);
    free(own);
    free(batch->datagrams);
    free(batch->memory);
    free(batch);
}

socklen_t CDatagramIO_fill_address(struct sockaddr_storage *out, int family, uint64_t high, uint64_t low, uint16_t port) {
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        v4->sin_addr.s_addr = htonl((uint32_t)low);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(v6, 0, sizeof *v6);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    uint64_t halves[2] = { htobe64(high), htobe64(low) };
    memcpy(&v6->sin6_addr, halves, sizeof halves);
    return sizeof *v6;
}

int CDatagramIO_open(uint64_t high, uint64_t low, uint16_t port, int bufferBytes, uint16_t *boundPort) {
    int family = AF_INET6;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && (high == 0 && (low == 0 || low >> 32 == 0xFFFF))) {
        family = AF_INET;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) return -errno;
    if (family == AF_INET6) {
        int off = 0;
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    // Answers must leave by the address they were asked at: clients drop a STUN response from another one.
    int on = 1;
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    else setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    // FORCE goes past net.core.rmem_max when we may; otherwise the kernel gives what it allows.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bufferBytes, sizeof bufferBytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bufferBytes, sizeof bufferBytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bufferBytes, sizeof bufferBytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bufferBytes, sizeof bufferBytes);
    struct sockaddr_storage address;
    memset(&address, 0, sizeof address);
    socklen_t length = CDatagramIO_fill_address(&address, family, high, low, port);
    if (bind(fd, (struct sockaddr *)&address, length) != 0) {
        int reason = errno;
        close(fd);
        return -reason;
    }
    length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    *boundPort = ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                         : ((struct sockaddr_in6 *)&address)->sin6_port);
    return fd;
}

/// The halves of an IPv6 or v4-mapped address; returns the port.
static uint16_t readAddress(const struct sockaddr_storage *address, uint64_t *high, uint64_t *low) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        *high = 0;
        *low = 0x0000FFFF00000000ull | ntohl(v4->sin_addr.s_addr);
        return ntohs(v4->sin_port);
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    uint64_t halves[2];
    memcpy(halves, &v6->sin6_addr, sizeof halves);
    *high = be64toh(halves[0]);
    *low = be64toh(halves[1]);
    return ntohs(v6->sin6_port);
}

static void readLocalAddress(struct msghdr *header, CDatagramIO_datagram *datagram) {
    datagram->localHigh = 0;
    datagram->localLow = 0;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
            uint64_t halves[2];
            memcpy(halves, CMSG_DATA(control) + offsetof(struct in6_pktinfo, ipi6_addr), sizeof halves);
            datagram->localHigh = be64toh(halves[0]);
            datagram->localLow = be64toh(halves[1]);
        } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo information;
            memcpy(&information, CMSG_DATA(control), sizeof information);
            datagram->localLow = 0x0000FFFF00000000ull | ntohl(information.ipi_spec_dst.s_addr);
        }
    }
}

int CDatagramIO_receive(int socket, CDatagramIO_batch *batch) {
    internals *own = batch->internal;
    // Mostly few datagrams come at once: what the last read has not touched is still as it must be.
    for (uint32_t i = 0; i < own->touched; i++) {
        struct msghdr *header = &own->messages[i].msg_hdr;
        header->msg_name = &own->addresses[i];
        header->msg_namelen = sizeof own->addresses[i];
        header->msg_iov = &own->vectors[i];
        header->msg_iovlen = 1;
        header->msg_control = own->control + i * controlBytes;
        header->msg_controllen = controlBytes;
        header->msg_flags = 0;
    }
    int received = recvmmsg(socket, own->messages, batch->count, MSG_DONTWAIT, NULL);
    own->touched = received > 0 ? (uint32_t)received : 0;
    if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < received; i++) {
        CDatagramIO_datagram *datagram = &batch->datagrams[i];
        datagram->length = own->messages[i].msg_len;
        datagram->truncated = (own->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        readLocalAddress(&own->messages[i].msg_hdr, datagram);
        datagram->port = readAddress(&own->addresses[i], &datagram->high, &datagram->low);
    }
    return received;
}

uint32_t CDatagramIO_receive_backlog(int socket) {
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof memory;
    if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0 || memory[SK_MEMINFO_RCVBUF] == 0) return 0;
    return (uint32_t)(100 * (uint64_t)memory[SK_MEMINFO_RMEM_ALLOC] / memory[SK_MEMINFO_RCVBUF]);
}

void CDatagramIO_yield(void) {
    sched_yield();
}

int CDatagramIO_source(uint64_t peerHigh, uint64_t peerLow, uint16_t port, uint64_t *high, uint64_t *low) {
    int family = peerHigh == 0 && peerLow >> 32 == 0xFFFF ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    struct sockaddr_storage address;
    memset(&address, 0, sizeof address);
    socklen_t length = CDatagramIO_fill_address(&address, family, peerHigh, peerLow, port);
    // Connecting a datagram socket sends nothing; it looks up the route.
    int found = connect(fd, (struct sockaddr *)&address, length) == 0;
    length = sizeof address;
    found = found && getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    close(fd);
    if (!found) return 0;
    readAddress(&address, high, low);
    return 1;
}
