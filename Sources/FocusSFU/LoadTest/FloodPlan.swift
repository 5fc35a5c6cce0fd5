// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a load test throws at the server's media port while it measures a call.
package struct FloodPlan: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Random bytes of random length, from strangers.
        case garbage
        /// Media as the call's publisher sends it, with its SSRC, from strangers.
        case strangers
        /// Packets that the publisher has sent already, from its own address.
        case replay
        /// Media with the publisher's next sequence numbers from its own address, encrypted by nobody: each has to be
        /// authenticated to be refused.
        case forgery
        /// STUN checks for a participant that does not exist.
        case stunUser = "stun-user"
        /// STUN checks for a participant of the call, signed with another password.
        case stunPassword = "stun-password"
        /// The first flight of a DTLS client, from strangers.
        case clientHello = "client-hello"
        /// The same from the publisher's own address, where a handshake has been made.
        case ownClientHello = "own-client-hello"

        /// Whether it comes from the address of a participant.
        var isFromWithin: Bool {
            switch self {
            case .replay, .forgery, .ownClientHello: true
            case .garbage, .strangers, .stunUser, .stunPassword, .clientHello: false
            }
        }
    }

    package var kind: Kind
    package var packetsPerSecond: Int

    package init(kind: Kind, packetsPerSecond: Int) {
        self.kind = kind
        self.packetsPerSecond = packetsPerSecond
    }
}
