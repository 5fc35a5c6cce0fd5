// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a client asks of its server, one thing at a time.
package enum TURNOperation: Equatable, Sendable {
    package enum Family: UInt8, Sendable {
        case ipv4 = 1
        case ipv6 = 2
    }

    /// The protocol between relay and peers, RFC 8656 §18.8 and RFC 6062 §4.2.
    package enum RelayProtocol: UInt8, Sendable {
        case udp = 17
        /// TCP relaying, which servers of calls should refuse.
        case tcp = 6
    }

    case allocate(Family, RelayProtocol)
    case createPermission(RelayAddress)
    case bindChannel(UInt16, RelayAddress)
    /// 0 seconds deletes the allocation.
    case refresh(lifetimeSeconds: UInt32)
}

/// What a server gave, RFC 8656 §7.3.
package struct TURNAllocation: Equatable, Sendable {
    /// Where peers reach the client.
    package let relayed: RelayAddress
    /// The client as the server sees it.
    package let mapped: RelayAddress?
    package let lifetimeSeconds: UInt32
}

/// Why an operation did not succeed.
package enum TURNClientFault: Error, Equatable, Sendable {
    /// The server said no, RFC 8656 §19: 401 wrong credential, 403 forbidden peer, 486 quota, 508 no ports.
    case refused(code: Int)
    /// No answer that counts before the time limit; the number of answers that did not count.
    case noAnswer(ignored: Int)
    /// A proven answer without what it must hold, or an error without a code.
    case malformedAnswer
    /// The server changed its nonce again and again.
    case endlessNonces
    /// The stream ended, or is none of TURN.
    case broken
    /// OpenSSL refused MD5 or HMAC-SHA-1.
    case digest
}

/// Something that happened to a client.
package enum TURNClientEvent: Equatable, Sendable {
    case allocated(TURNAllocation)
    /// Any other operation that succeeded; of a refresh, what the server granted.
    case done(TURNOperation)
    case failed(TURNOperation, TURNClientFault)
    /// From a peer, through a channel or a Data indication.
    case data([UInt8], from: RelayAddress)
}

/// Why something received was passed over.
package enum TURNIgnoredReason: Hashable, Sendable, CaseIterable {
    case notFrame
    case malformed
    /// An answer to nothing that was asked.
    case unknownTransaction
    /// MESSAGE-INTEGRITY is missing or wrong: whoever sent it does not know the password.
    case unproven
    /// A channel or an indication that means nothing here.
    case unexpected
}
