// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What usrsctp's callbacks leave for the owner of an association.
enum SCTPDelivery {
    /// A packet to send.
    case packet([UInt8])
    /// A message or a part of one.
    case data(stream: UInt16, payloadProtocol: UInt32, bytes: [UInt8], endsMessage: Bool)
    case connected
    case lost
    case streamsReset(incoming: Bool, outgoing: Bool, streams: [UInt16])
}

/// The only place where usrsctp's threads and the owner of an association meet.
///
/// Callbacks run on whatever thread entered usrsctp, with its locks held: they append here and wake the owner, no more.
final class SCTPMailbox: Sendable {
    /// Deliveries kept for an owner that does not look, about 1.2 MB of packets. What comes after is dropped: a packet
    /// like one lost on the way, a message by ending the association, because it was acknowledged.
    static let deliveryLimit = 1_024

    private struct State {
        var deliveries: [SCTPDelivery] = []
        var ownerLooks = false
        var overflowed = false
    }

    private let state = PthreadMutex(State())
    private let id: SCTPAssociationID
    private let onReady: @Sendable (SCTPAssociationID) -> Void

    init(id: SCTPAssociationID, onReady: @escaping @Sendable (SCTPAssociationID) -> Void) {
        self.id = id
        self.onReady = onReady
    }

    func deliver(_ delivery: SCTPDelivery) {
        let wakes = state.withLock { state in
            guard state.deliveries.count < Self.deliveryLimit else {
                if case .packet = delivery { return false }
                state.overflowed = true
                return false
            }
            state.deliveries.append(delivery)
            return state.deliveries.count == 1 && !state.ownerLooks
        }
        if wakes { onReady(id) }
    }

    /// While the owner is inside a call of its own it need not be woken: it drains afterwards.
    func ownerEnters() {
        state.withLock { $0.ownerLooks = true }
    }

    /// Takes all that has come. An overflow is told once, as a loss.
    func take() -> [SCTPDelivery] {
        state.withLock { state in
            var taken = state.deliveries
            state.deliveries = []
            state.ownerLooks = false
            if state.overflowed {
                state.overflowed = false
                taken.append(.lost)
            }
            return taken
        }
    }
}
