// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

extension LiveKitNames {
    /// The slot of every call whose clients know no slots.
    package static let compatibilitySlot = "m.call#ROOM"

    /// The LiveKit room of a slot: one each.
    package static func room(_ room: RoomID, slot: String) -> String {
        name(digest: SecureHash.sha256(roomNameInput(roomID: room, slotID: slot)))
    }

    /// A member's identity as LiveKit knows it.
    package static func text(of identity: Identity) -> String {
        switch identity {
        case .plain(let text): text
        case .hashed(let input): name(digest: SecureHash.sha256(input))
        }
    }
}

extension TokenRequest {
    /// The LiveKit room the request leads to.
    package var liveKitRoom: String {
        switch form {
        case .compatibility: LiveKitNames.room(room, slot: LiveKitNames.compatibilitySlot)
        case .slot(let slot, _, _, _), .member(let slot, _): LiveKitNames.room(room, slot: slot)
        }
    }

    /// The LiveKit identity of the verified user in that room.
    package func liveKitIdentity(of user: UserID) -> String {
        switch form {
        case .compatibility(let device):
            LiveKitNames.plainIdentity(user: user, device: device)
        case .slot(_, let memberID, let device, _):
            LiveKitNames.text(
                of: .hashed(
                    input: LiveKitNames.identityInput(user: user, device: device.rawValue, memberID: memberID)))
        case .member(_, let memberID):
            LiveKitNames.text(of: .hashed(input: LiveKitNames.identityInput(sender: user, memberID: memberID)))
        }
    }
}
