// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The door to usrsctp. Its own header is kept out of Swift: it includes the system's socket headers, whose types would
// then belong to this module instead of Glibc. Numbers are in host byte order; an association is named by a number.

#ifndef CUSRSCTP_H
#define CUSRSCTP_H

#include <stddef.h>
#include <stdint.h>

/// A socket of usrsctp.
struct socket;

/// A message, or a part of one.
struct CUsrSCTP_data {
    const void *bytes;
    size_t length;
    uint32_t payloadProtocol;
    uint16_t stream;
    int endsMessage;
};

/// Streams that began anew.
struct CUsrSCTP_reset {
    const uint16_t *streams;
    size_t count;
    int incoming;
    int outgoing;
};

/// Called on the thread that entered usrsctp, with its locks held. What they are given is valid for the call only.
struct CUsrSCTP_callbacks {
    int (*packet)(uintptr_t number, const void *bytes, size_t length);
    void (*data)(uintptr_t number, struct CUsrSCTP_data data);
    void (*up)(uintptr_t number);
    void (*lost)(uintptr_t number);
    void (*reset)(uintptr_t number, struct CUsrSCTP_reset reset);
};

/// What a socket is made with.
struct CUsrSCTP_options {
    uint16_t port;
    uint16_t streams;
    uint16_t initAttempts;
    uint16_t longestInitTimeoutMilliseconds;
    /// Bytes of a packet without the common header of 12.
    uint32_t pathMTU;
    int sendBufferBytes;
    int receiveBufferBytes;
};

/// Times in milliseconds for all associations of the process.
struct CUsrSCTP_timing {
    uint32_t initialRTO;
    uint32_t shortestRTO;
    uint32_t longestRTO;
    uint32_t delayedAcknowledgement;
};

/// Partial reliability, RFC 3758 and RFC 7496.
enum CUsrSCTP_policy : uint32_t {
    CUsrSCTP_reliable,
    CUsrSCTP_retransmits,
    CUsrSCTP_lifetime,
};

/// Starts usrsctp without threads and without UDP ports. Once in a process.
void CUsrSCTP_init(struct CUsrSCTP_callbacks callbacks, struct CUsrSCTP_timing timing);
void CUsrSCTP_handle_timers(uint32_t elapsedMilliseconds);

/// A non-blocking socket bound to a number; NULL with errno when refused.
struct socket *CUsrSCTP_open(uintptr_t number, struct CUsrSCTP_options options);
/// Aborts the association and forgets the number.
void CUsrSCTP_close(uintptr_t number, struct socket *socket);
/// 0, or an errno; a start under way is a success.
int CUsrSCTP_connect(struct socket *socket, uintptr_t number, uint16_t port);
void CUsrSCTP_receive(uintptr_t number, const void *packet, size_t length);
/// 0, or an errno.
int CUsrSCTP_send(struct socket *socket, uint16_t stream, uint32_t payloadProtocol, int ordered,
                  enum CUsrSCTP_policy policy, uint32_t policyValue, const void *bytes, size_t length);
/// 0, or an errno.
int CUsrSCTP_reset_outgoing_stream(struct socket *socket, uint16_t stream);
/// Bytes queued or in flight.
uint32_t CUsrSCTP_buffered_amount(struct socket *socket);

#endif
