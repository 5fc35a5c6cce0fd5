// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What every `m.call.*` event carries (Matrix specification, "Voice over IP").
package struct LegacyCallHeader: Equatable, Sendable {
    /// The version of the signalling.
    package enum Version: Sendable {
        /// The integer 0: no party ids, no reject, no select_answer, no negotiate.
        case zero
        /// `"1"`, and every version nobody knows yet.
        case one
    }

    package let roomID: RoomID
    package let eventID: EventID
    package let sender: UserID
    package let sentAt: UnixMilliseconds
    package let age: Milliseconds?
    /// When ``age`` was so; nil when nobody noted it.
    package let receivedAt: UnixMilliseconds?
    /// The event came encrypted, and was read.
    package let isEncrypted: Bool
    package let callID: String
    package let version: Version
    /// Which of the sender's devices speaks. Repeats across calls, so match on call, sender and party.
    package let partyID: String?

    init(_ event: RoomEvent) throws(EventRefusal) {
        let callID = try event.content.requiredText("call_id", orRefuse: .missingCallID)
        guard !callID.isEmpty else { throw .missingCallID }
        let partyID = event.content.text("party_id")
        self.version =
            switch event.content["version"] {
            case .string("0"): .zero
            case nil: partyID == nil ? .zero : .one
            case let version: version?.integer == 0 ? .zero : .one
            }
        self.roomID = event.roomID
        self.eventID = event.eventID
        self.sender = event.sender
        self.sentAt = event.originServerTimestamp
        self.age = event.age
        self.receivedAt = event.receivedAt
        self.isEncrypted = event.encryptingDevice != nil
        self.callID = callID
        self.partyID = partyID
    }

    /// `lifetime`, which must be present.
    static func lifetime(_ event: RoomEvent) throws(EventRefusal) -> Milliseconds {
        guard let lifetime = EventTime.milliseconds(event.content["lifetime"]) else { throw .invalidLifetime }
        return lifetime
    }
}
