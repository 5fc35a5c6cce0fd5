// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What an `m.room.member` event says about one user in a room.
package struct RoomMember: Equatable, Sendable {
    static let eventType = "m.room.member"

    package enum Membership: String, CaseIterable, Sendable {
        case join
        case leave
        case ban
        case invite
        case knock
    }

    package let roomID: RoomID
    /// The user the event is about, which is not always its sender.
    package let user: UserID
    package let membership: Membership

    package init(roomID: RoomID, user: UserID, membership: Membership) {
        self.roomID = roomID
        self.user = user
        self.membership = membership
    }

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RoomMember {
        guard let user = event.stateKey.flatMap(UserID.init),
            let membership = event.content["membership"]?.string.flatMap(Membership.init)
        else { throw .invalidRoomMember }
        return RoomMember(roomID: event.roomID, user: user, membership: membership)
    }
}
