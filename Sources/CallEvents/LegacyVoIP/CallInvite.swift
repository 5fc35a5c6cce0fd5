// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `m.call.invite`: somebody calls.
package struct CallInvite: Equatable, Sendable {
    package let header: LegacyCallHeader
    package let offer: LegacyCallDescription
    package let lifetime: Milliseconds
    /// Whom the call is for; nil means anyone in the room.
    package let invitee: UserID?
    package let streams: CallStreamMetadata?
    package let capabilities: CallCapabilities

    init(_ event: RoomEvent) throws(EventRefusal) {
        self.header = try LegacyCallHeader(event)
        self.offer = try LegacyCallDescription(event.content["offer"], allowing: [.offer])
        self.lifetime = try LegacyCallHeader.lifetime(event)
        switch event.content["invitee"] {
        case nil, .null: self.invitee = nil
        case let value:
            // A call for nobody we can name must not ring everybody.
            guard let invitee = value?.string.flatMap(UserID.init) else { throw .invalidInvitee }
            self.invitee = invitee
        }
        self.streams = CallStreamMetadata(event.content)
        self.capabilities = CallCapabilities(event.content)
    }

    /// How much longer the call may ring, by the homeserver's account of the event's age and what it waited here since;
    /// never negative.
    package func remainingLifetime(at now: UnixMilliseconds) -> Milliseconds {
        let waited = header.receivedAt.map { max(0, EventTime.sum(now, -$0)) } ?? 0
        let age = header.age.map { EventTime.sum($0, waited) } ?? max(0, EventTime.sum(now, -header.sentAt))
        return max(0, lifetime - min(age, lifetime))
    }
}

/// What the other side can do beyond the basics.
package struct CallCapabilities: Equatable, Sendable {
    package let canBeTransferred: Bool
    package let takesDTMF: Bool

    init(_ content: JSONObject) {
        self.canBeTransferred = content["capabilities"]?["m.call.transferee"]?.bool ?? false
        self.takesDTMF = content["capabilities"]?["m.call.dtmf"]?.bool ?? false
    }
}
