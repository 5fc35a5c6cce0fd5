// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A call as people see it: a room and a slot. The two spellings of the room's slot are one call.
package struct RosterCallID: Hashable, Sendable, Codable {
    package let roomID: RoomID
    /// Always ``SlotID/displayed``.
    package let slotID: SlotID

    package init(roomID: RoomID, slotID: SlotID) {
        self.roomID = roomID
        self.slotID = slotID.displayed
    }
}

/// A member of a call that counts now.
package struct RosterMember: Equatable, Sendable, Codable {
    package struct ID: Hashable, Sendable, Codable {
        package let call: RosterCallID
        package let sender: UserID
        /// ``RTCMembership/memberID``, which is also `member.id` in key events.
        package let memberID: String
    }

    package let membership: RTCMembership
    package let joinedAt: UnixMilliseconds
    package let expiresAt: UnixMilliseconds

    package var id: ID {
        ID(
            call: RosterCallID(roomID: membership.roomID, slotID: membership.slotID),
            sender: membership.sender,
            memberID: membership.memberID,
        )
    }
}

/// One running call.
package struct RosterCall: Equatable, Sendable {
    package let id: RosterCallID
    /// Oldest first; of equal age by event id.
    package let members: [RosterMember]

    /// Nil when nobody takes part.
    init?(id: RosterCallID, members: [RosterMember]) {
        guard !members.isEmpty else { return nil }
        self.id = id
        self.members = members.sorted {
            ($0.joinedAt, $0.membership.eventID) < ($1.joinedAt, $1.membership.eventID)
        }
    }

    /// When its oldest member joined.
    package var startedAt: UnixMilliseconds { members.first?.joinedAt ?? 0 }

    /// The generation of its oldest member: what a further member should speak.
    package var generation: RTCMembership.Generation { members.first?.membership.generation ?? .sessionState }

    /// Audio when every member that states an intent says so, nil when none states one, else video.
    package var intent: CallIntent? {
        let stated = members.compactMap(\.membership.intent)
        guard !stated.isEmpty else { return nil }
        return stated.allSatisfy { $0 == .audio } ? .audio : .video
    }

    /// Where a member publishes, by its own rule of choice; nil when it has no usable transport.
    package func transport(of member: RosterMember) -> RTCTransport? {
        switch member.membership.focusSelection {
        case .multipleFoci: member.membership.transports.first
        case .oldestMembership: members.first?.membership.transports.first
        case .unknown: nil
        }
    }
}
