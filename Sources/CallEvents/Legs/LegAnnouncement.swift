// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How a leg of ours announces itself in a call: the state event `org.matrix.msc3401.call.member` that every client
/// understands, under the key that belongs to one device of one of our users.
package struct LegAnnouncement: Equatable, Sendable {
    package let room: RoomID
    package let user: UserID
    package let device: DeviceID
    /// `room_version` of the room.
    package let roomVersion: String
    /// The base of our token service, as clients reach it.
    package let serviceURL: String

    package init(room: RoomID, user: UserID, device: DeviceID, roomVersion: String, serviceURL: String) {
        self.room = room
        self.user = user
        self.device = device
        self.roomVersion = roomVersion
        self.serviceURL = serviceURL
    }

    /// A key that begins with `@` must be the sender and nothing else (room versions, authorization rules), hence the
    /// underscore; versions in which users own every key that begins with their id need none (MSC3757, MSC3779).
    package var stateKey: String {
        let hasOwnKeys = ["org.matrix.msc3757", "org.matrix.msc3779"].contains { roomVersion.hasPrefix($0) }
        return "\(hasOwnKeys ? "" : "_")\(user.rawValue)_\(device.rawValue)_\(SlotID.callApplication)"
    }

    /// Who the leg is to its peers, and its name in the focus.
    package var memberID: String { LiveKitNames.plainIdentity(user: user, device: device) }

    /// The content while the leg is in the call.
    package func content(createdAt: UnixMilliseconds, expires: Milliseconds) -> JSONObject {
        [
            "application": .string(SlotID.callApplication), "call_id": .string(""), "scope": .string("m.room"),
            "device_id": .string(device.rawValue), "membershipID": .string(memberID),
            "created_ts": .integer(createdAt), "expires": .integer(expires),
            "m.call.intent": .string(CallIntent.audio.rawValue),
            "focus_active": .object([
                "type": .string("livekit"), "focus_selection": .string(FocusSelection.multipleFoci.rawValue),
            ]),
            "foci_preferred": .array([
                .object([
                    "type": .string("livekit"), "livekit_service_url": .string(serviceURL),
                    "livekit_alias": .string(room.rawValue),
                ])
            ]),
        ]
    }
}
