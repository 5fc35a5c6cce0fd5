// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a channel was opened with; the same on both sides (RFC 8832 §5.1).
package struct DataChannelParameters: Equatable, Sendable {
    package var label: String
    package var subprotocol: String
    package var ordered: Bool
    package var reliability: SCTPReliability
    /// RFC 8831 §6.4: 128 below normal, 256 normal, 512 high, 1024 extra high. Carried, not acted upon.
    package var priority: UInt16

    package init(
        label: String,
        subprotocol: String = "",
        ordered: Bool = true,
        reliability: SCTPReliability = .reliable,
        priority: UInt16 = 256
    ) {
        self.label = label
        self.subprotocol = subprotocol
        self.ordered = ordered
        self.reliability = reliability
        self.priority = priority
    }
}

/// How a message is to be read (RFC 8831 §8, payload protocol identifiers).
package enum DataMessageKind: Equatable, Sendable {
    case text
    case binary
}

/// One data channel: a pair of streams with the same number (RFC 8831 §6.3).
package struct DataChannel: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// Opened here, waits for the association.
        case waiting
        /// Opened here, not acknowledged yet. Messages may be sent, but in order.
        case opening
        case open
        /// One side has reset its stream; the number is free once both have.
        case closing
    }

    /// The number of both streams.
    package let id: UInt16
    package let parameters: DataChannelParameters
    /// True when the peer opened it.
    package let isRemote: Bool
    package internal(set) var state: State
    var incomingReset = false
    var outgoingReset = false
}
