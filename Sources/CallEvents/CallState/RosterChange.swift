// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One consequence of an input to ``CallRoster``, in the order in which it should take effect.
package enum RosterChange: Equatable, Sendable {
    /// Keep this row; it replaces the one with the same id.
    case entryStored(RosterEntry)
    /// Drop this row.
    case entryRemoved(RosterEntry.ID)
    /// Keep this slot; it replaces the one with the same id.
    case slotStored(RTCSlot)
    /// Drop this slot.
    case slotRemoved(roomID: RoomID, slotID: SlotID)

    case callStarted(RosterCallID)
    case memberJoined(RosterMember)
    /// The same member with other transports, intent or expiry.
    case memberUpdated(RosterMember)
    case memberLeft(RosterMember, DepartureCause)
    case callEnded(RosterCallID)

    /// The event had no effect on who takes part, for this reason, except that it may have replaced a valid one.
    case refused(EventRefusal)
}

/// Why a member no longer counts.
package enum DepartureCause: Equatable, Hashable, Sendable {
    /// It said so.
    case left(LeaveReason)
    case expired
    /// Its event was redacted, which is how moderators remove a member.
    case redacted
    /// The user left the room or was removed from it.
    case senderLeftRoom
    /// Another event took its place: an unusable one, another device's, or a sticky one of the same device.
    case replaced
    case slotClosed
    /// We no longer see the room.
    case roomForgotten
}
