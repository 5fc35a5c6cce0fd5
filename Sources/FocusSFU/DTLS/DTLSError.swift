// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// Why DTLS failed.
package enum DTLSError: Error, Equatable, Sendable {
    /// What was being done when OpenSSL refused.
    package enum Operation: Sendable {
        case makeCertificate
        case makeContext
        case makeConnection
        case handshake
        case read
        case write
        case exportKeys
    }

    /// OpenSSL refused; `code` is its packed error, readable with `openssl errstr`, 0 when it gave none.
    case library(operation: Operation, code: UInt)
    /// No handshake within ``DTLSSession/handshakeLimitMilliseconds``.
    case handshakeTimeout
    /// The peer's certificate is not the one its session description announced (RFC 8122 §6.2).
    case fingerprintMismatch
    /// The peer wants none of our SRTP profiles (RFC 5764 §4.1).
    case noSRTPProfile

    /// The error that OpenSSL queued last for this thread.
    static func fromLibrary(_ operation: Operation) -> DTLSError {
        .library(operation: operation, code: UInt(ERR_peek_last_error()))
    }
}
