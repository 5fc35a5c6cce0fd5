// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#define _GNU_SOURCE
#include "CDatagramIO_sink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

// The largest joined message, and a step between slots that does not map all of them to the same cache lines.
enum { slotBytes = 65536, slotStride = 65536 + 19 * 64 };
// Index of the drop counter in what SO_MEMINFO gives: SK_MEMINFO_DROPS of linux/sock_diag.h.
enum { droppedIndex = 8, memoryFields = 9 };

typedef struct {
    struct mmsghdr *headers;
    struct iovec *vectors;
    struct sockaddr_storage *senders;
    uint8_t *control;
    uint8_t *memory;
} internals;

// Segment size and time stamp.
static const size_t controlBytes = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec));

CDatagramIO_sink *CDatagramIO_sink_create(uint32_t count) {
    CDatagramIO_sink *sink = calloc(1, sizeof *sink);
    internals *own = calloc(1, sizeof *own);
    if (sink == NULL || own == NULL) {
        free(sink);
        free(own);
        return NULL;
    }
    sink->count = count;
    sink->internal = own;
    sink->messages = calloc(count, sizeof *sink->messages);
    own->headers = calloc(count, sizeof *own->headers);
    own->vectors = calloc(count, sizeof *own->vectors);
    own->senders = calloc(count, sizeof *own->senders);
    own->control = calloc(count, controlBytes);
    own->memory = aligned_alloc(64, (size_t)count * slotStride);
    if (sink->messages == NULL || own->headers == NULL || own->vectors == NULL || own->senders == NULL
        || own->control == NULL || own->memory == NULL) {
        CDatagramIO_sink_destroy(sink);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        own->vectors[i].iov_base = own->memory + (size_t)i * slotStride;
        own->vectors[i].iov_len = slotBytes;
        own->headers[i].msg_hdr.msg_iov = &own->vectors[i];
        own->headers[i].msg_hdr.msg_iovlen = 1;
        own->headers[i].msg_hdr.msg_name = &own->senders[i];
        own->headers[i].msg_hdr.msg_control = own->control + i * controlBytes;
    }
    return sink;
}

void CDatagramIO_sink_destroy(CDatagramIO_sink *sink) {
    if (sink == NULL) return;
    internals *own = sink->internal;
    free(own->headers);
    free(own->vectors);
    free(own->senders);
    free(own->control);
    free(own->memory);
    free(own);
    free(sink->messages);
    free(sink);
}

int CDatagramIO_sink_open(int bufferBytes) {
    int family = AF_INET6;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        family = AF_INET;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) return -errno;
    int on = 1, off = 0;
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    // FORCE goes past net.core.rmem_max when we may; otherwise the kernel gives what it allows.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bufferBytes, sizeof bufferBytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bufferBytes, sizeof bufferBytes);
    struct sockaddr_storage any;
    memset(&any, 0, sizeof any);
    any.ss_family = (sa_family_t)family;
    socklen_t length = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (bind(fd, (struct sockaddr *)&any, length) != 0) {
        int reason = errno;
        close(fd);
        return -reason;
    }
    return fd;
}

static void readSender(const struct sockaddr_storage *sender, CDatagramIO_message *message) {
    if (sender->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)sender;
        message->high = 0;
        message->low = 0x0000FFFF00000000ull | ntohl(v4->sin_addr.s_addr);
        message->port = ntohs(v4->sin_port);
        return;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sender;
    uint64_t halves[2];
    memcpy(halves, &v6->sin6_addr, sizeof halves);
    message->high = be64toh(halves[0]);
    message->low = be64toh(halves[1]);
    message->port = ntohs(v6->sin6_port);
}

int CDatagramIO_sink_read(int socket, CDatagramIO_sink *sink) {
    internals *own = sink->internal;
    for (uint32_t i = 0; i < sink->count; i++) {
        own->headers[i].msg_hdr.msg_namelen = sizeof own->senders[i];
        own->headers[i].msg_hdr.msg_controllen = controlBytes;
    }
    int received = recvmmsg(socket, own->headers, sink->count, MSG_DONTWAIT, NULL);
    if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < received; i++) {
        CDatagramIO_message *message = &sink->messages[i];
        message->bytes = own->vectors[i].iov_base;
        message->length = own->headers[i].msg_len;
        message->segmentLength = own->headers[i].msg_len;
        message->arrival = 0;
        readSender(&own->senders[i], message);
        struct msghdr *header = &own->headers[i].msg_hdr;
        for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL; control = CMSG_NXTHDR(header, control)) {
            if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
                int size;
                memcpy(&size, CMSG_DATA(control), sizeof size);
                if (size > 0) message->segmentLength = (uint32_t)size;
            } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec time;
                memcpy(&time, CMSG_DATA(control), sizeof time);
                message->arrival = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
            }
        }
    }
    return received;
}

int CDatagramIO_sink_send(
    int socket, const void *bytes, uint32_t length, uint64_t high, uint64_t low, uint16_t port) {
    struct sockaddr_in6 v6;
    memset(&v6, 0, sizeof v6);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    uint64_t halves[2] = { htobe64(high), htobe64(low) };
    memcpy(&v6.sin6_addr, halves, sizeof halves);
    ssize_t sent = sendto(socket, bytes, length, MSG_DONTWAIT, (struct sockaddr *)&v6, sizeof v6);
    if (sent < 0 && errno == EAFNOSUPPORT) {
        struct sockaddr_in v4;
        memset(&v4, 0, sizeof v4);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        v4.sin_addr.s_addr = htonl((uint32_t)low);
        sent = sendto(socket, bytes, length, MSG_DONTWAIT, (struct sockaddr *)&v4, sizeof v4);
    }
    return sent == (ssize_t)length;
}

uint32_t CDatagramIO_sink_overflow(int socket) {
    uint32_t fields[memoryFields] = { 0 };
    socklen_t length = sizeof fields;
    if (getsockopt(socket, SOL_SOCKET, SO_MEMINFO, fields, &length) != 0) return 0;
    return length >= sizeof fields ? fields[droppedIndex] : 0;
}

int CDatagramIO_wait(int epoll, struct epoll_event *events, int count, uint64_t nanoseconds) {
    struct timespec limit = { (time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u) };
    return epoll_pwait2(epoll, events, count, &limit, NULL);
}
