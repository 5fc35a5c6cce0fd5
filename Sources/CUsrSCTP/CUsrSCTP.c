// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

#include "CUsrSCTP.h"

#include <errno.h>
#include <stdlib.h>
#include <usrsctp.h>

/// Set once before any socket exists.
static struct CUsrSCTP_callbacks callbacks;

static int packet_ready(void *number, void *bytes, size_t length, uint8_t tos, uint8_t dontFragment) {
    (void)tos;
    (void)dontFragment;
    return callbacks.packet((uintptr_t)number, bytes, length);
}

static void association_changed(uintptr_t number, const struct sctp_assoc_change *change) {
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        callbacks.up(number);
        break;
    // A restart would begin all streams anew without our channels knowing.
    case SCTP_RESTART:
    case SCTP_COMM_LOST:
    case SCTP_SHUTDOWN_COMP:
    case SCTP_CANT_STR_ASSOC:
        callbacks.lost(number);
        break;
    }
}

static void streams_reset(uintptr_t number, const struct sctp_stream_reset_event *event) {
    if (event->strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED)) return;
    struct CUsrSCTP_reset reset = {
        .streams = event->strreset_stream_list,
        .count = (event->strreset_length - sizeof *event) / sizeof(uint16_t),
        .incoming = (event->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) != 0,
        .outgoing = (event->strreset_flags & SCTP_STREAM_RESET_OUTGOING_SSN) != 0,
    };
    callbacks.reset(number, reset);
}

static void notified(uintptr_t number, const union sctp_notification *notification, size_t length) {
    if (length < sizeof notification->sn_header || notification->sn_header.sn_length != length) return;
    switch (notification->sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE:
        if (length >= sizeof(struct sctp_assoc_change)) association_changed(number, &notification->sn_assoc_change);
        break;
    case SCTP_STREAM_RESET_EVENT:
        if (length >= sizeof(struct sctp_stream_reset_event)) streams_reset(number, &notification->sn_strreset_event);
        break;
    case SCTP_SHUTDOWN_EVENT:
        callbacks.lost(number);
        break;
    }
}

/// usrsctp allocated `bytes` with malloc for us to free; NULL means that the socket has ended.
static int data_ready(struct socket *socket, union sctp_sockstore address, void *bytes, size_t length,
                      struct sctp_rcvinfo information, int flags, void *number) {
    (void)socket;
    (void)address;
    if (bytes == NULL) {
        callbacks.lost((uintptr_t)number);
    } else if (flags & MSG_NOTIFICATION) {
        notified((uintptr_t)number, (const union sctp_notification *)bytes, length);
    } else {
        struct CUsrSCTP_data data = {
            .bytes = bytes,
            .length = length,
            .payloadProtocol = ntohl(information.rcv_ppid),
            .stream = information.rcv_sid,
            .endsMessage = (flags & MSG_EOR) != 0,
        };
        callbacks.data((uintptr_t)number, data);
    }
    free(bytes);
    return 1;
}

void CUsrSCTP_init(struct CUsrSCTP_callbacks given, struct CUsrSCTP_timing timing) {
    callbacks = given;
    usrsctp_init_nothreads(0, packet_ready, NULL);
    // The path is a DTLS connection: no congestion marks, no change of address, and no answer to strays.
    usrsctp_sysctl_set_sctp_ecn_enable(0);
    usrsctp_sysctl_set_sctp_asconf_enable(0);
    usrsctp_sysctl_set_sctp_auto_asconf(0);
    usrsctp_sysctl_set_sctp_blackhole(2);
    usrsctp_sysctl_set_sctp_rto_initial_default(timing.initialRTO);
    usrsctp_sysctl_set_sctp_rto_min_default(timing.shortestRTO);
    usrsctp_sysctl_set_sctp_rto_max_default(timing.longestRTO);
    usrsctp_sysctl_set_sctp_init_rto_max_default(timing.longestRTO);
    usrsctp_sysctl_set_sctp_delayed_sack_time_default(timing.delayedAcknowledgement);
}

void CUsrSCTP_handle_timers(uint32_t elapsedMilliseconds) {
    usrsctp_handle_timers(elapsedMilliseconds);
}

static struct sockaddr_conn address_of(uintptr_t number, uint16_t port) {
    struct sockaddr_conn address = {.sconn_family = AF_CONN, .sconn_port = htons(port), .sconn_addr = (void *)number};
    return address;
}

static int configure(struct socket *socket, struct CUsrSCTP_options options) {
    struct linger abort = {.l_onoff = 1, .l_linger = 0};
    uint32_t on = 1;
    struct sctp_paddrparams path = {
        .spp_address.ss_family = AF_CONN, .spp_flags = SPP_PMTUD_DISABLE, .spp_pathmtu = options.pathMTU};
    struct sctp_initmsg init = {
        .sinit_num_ostreams = options.streams,
        .sinit_max_instreams = options.streams,
        .sinit_max_attempts = options.initAttempts,
        .sinit_max_init_timeo = options.longestInitTimeoutMilliseconds,
    };
    struct sctp_assoc_value reset = {.assoc_value = SCTP_ENABLE_RESET_STREAM_REQ};
    static const uint16_t events[] = {SCTP_ASSOC_CHANGE, SCTP_SHUTDOWN_EVENT, SCTP_STREAM_RESET_EVENT};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        struct sctp_event event = {.se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = events[i], .se_on = 1};
        if (usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof event) != 0) return 0;
    }
    return usrsctp_set_non_blocking(socket, 1) == 0 &&
           usrsctp_setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof abort) == 0 &&
           usrsctp_setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &options.sendBufferBytes, sizeof(int)) == 0 &&
           usrsctp_setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &options.receiveBufferBytes, sizeof(int)) == 0 &&
           usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on) == 0 &&
           usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &path, sizeof path) == 0 &&
           usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof init) == 0 &&
           usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_ENABLE_STREAM_RESET, &reset, sizeof reset) == 0;
}

struct socket *CUsrSCTP_open(uintptr_t number, struct CUsrSCTP_options options) {
    usrsctp_register_address((void *)number);
    struct socket *socket =
        usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, data_ready, NULL, 0, (void *)number);
    struct sockaddr_conn address = address_of(number, options.port);
    if (socket != NULL && configure(socket, options) &&
        usrsctp_bind(socket, (struct sockaddr *)&address, sizeof address) == 0) {
        return socket;
    }
    int code = errno;
    CUsrSCTP_close(number, socket);
    errno = code;
    return NULL;
}

void CUsrSCTP_close(uintptr_t number, struct socket *socket) {
    if (socket != NULL) usrsctp_close(socket);
    usrsctp_deregister_address((void *)number);
}

int CUsrSCTP_connect(struct socket *socket, uintptr_t number, uint16_t port) {
    struct sockaddr_conn address = address_of(number, port);
    if (usrsctp_connect(socket, (struct sockaddr *)&address, sizeof address) == 0) return 0;
    return errno == EINPROGRESS ? 0 : errno;
}

void CUsrSCTP_receive(uintptr_t number, const void *packet, size_t length) {
    usrsctp_conninput((void *)number, packet, length, 0);
}

int CUsrSCTP_send(struct socket *socket, uint16_t stream, uint32_t payloadProtocol, int ordered,
                  enum CUsrSCTP_policy policy, uint32_t policyValue, const void *bytes, size_t length) {
    struct sctp_sendv_spa parameters = {
        .sendv_flags = SCTP_SEND_SNDINFO_VALID,
        .sendv_sndinfo =
            {
                .snd_sid = stream,
                .snd_ppid = htonl(payloadProtocol),
                .snd_flags = (uint16_t)(SCTP_EOR | (ordered ? 0 : SCTP_UNORDERED)),
            },
    };
    if (policy != CUsrSCTP_reliable) {
        parameters.sendv_flags |= SCTP_SEND_PRINFO_VALID;
        parameters.sendv_prinfo.pr_policy = policy == CUsrSCTP_retransmits ? SCTP_PR_SCTP_RTX : SCTP_PR_SCTP_TTL;
        parameters.sendv_prinfo.pr_value = policyValue;
    }
    ssize_t sent = usrsctp_sendv(socket, bytes, length, NULL, 0, &parameters, sizeof parameters, SCTP_SENDV_SPA, 0);
    return sent < 0 ? errno : 0;
}

int CUsrSCTP_reset_outgoing_stream(struct socket *socket, uint16_t stream) {
    // The request ends in a flexible array: room for one stream behind it.
    union {
        struct sctp_reset_streams request;
        unsigned char bytes[sizeof(struct sctp_reset_streams) + sizeof(uint16_t)];
    } value = {.request = {.srs_flags = SCTP_STREAM_RESET_OUTGOING, .srs_number_streams = 1}};
    value.request.srs_stream_list[0] = stream;
    return usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_RESET_STREAMS, &value, sizeof value.bytes) == 0 ? 0 : errno;
}

uint32_t CUsrSCTP_buffered_amount(struct socket *socket) {
    // An option that usrsctp has but does not declare.
    enum { getSendBufferUse = 0x1101 };
    struct {
        sctp_assoc_t association;
        uint32_t send;
        uint32_t receive;
    } usage = {0};
    socklen_t length = sizeof usage;
    return usrsctp_getsockopt(socket, IPPROTO_SCTP, getSendBufferUse, &usage, &length) == 0 ? usage.send : 0;
}
