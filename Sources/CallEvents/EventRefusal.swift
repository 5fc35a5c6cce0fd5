// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why an event, or a part of one, is not used. Each case is a counter's label.
package enum EventRefusal: String, Error, CaseIterable, Sendable {
    // The envelope of a room event.

    case notAnObject
    /// `type` is missing, empty or longer than 255 bytes.
    case invalidType
    case invalidSender
    case invalidRoomID
    case invalidEventID
    /// `state_key` is no string or longer than 255 bytes.
    case invalidStateKey
    /// `origin_server_ts` is missing or no integer of 0...2^53 - 1.
    case invalidTimestamp
    /// `content` is missing or no object.
    case invalidContent
    /// A text is longer than its kind allows.
    case oversizeField

    // Room membership and redaction.

    /// An `m.room.member` event without a user as state key or without `membership`.
    case invalidRoomMember
    /// An `m.room.redaction` event that names no event.
    case missingRedactionTarget

    // MatrixRTC memberships and slots.

    /// A state event type without a state key.
    case missingStateKey
    /// A message event type with a state key.
    case unexpectedStateKey
    /// The state key names another user than the sender.
    case stateKeyOfOtherUser
    case missingApplication
    /// An application that is no call.
    case otherApplication
    case missingCallID
    /// A call other than the one of the whole room.
    case callNotOfRoom
    case missingDeviceID
    /// `focus_active.type` is missing.
    case missingFocus
    /// `expires` or `created_ts` is no integer of 0...2^53 - 1.
    case invalidExpiry
    /// The list form that clients stopped writing before MatrixRTC had transports.
    case membershipList
    /// A membership that must be sticky and is not (MSC4354).
    case notSticky
    case missingStickyKey
    /// The two spellings of the sticky key differ, or the key is not the member's id.
    case stickyKeyMismatch
    /// `member` or `member.id` is missing.
    case missingMemberID
    /// The member claims another user than the sender.
    case memberOfOtherUser
    /// `member.membership` is neither `join` nor `leave`.
    case unknownMembership
    case missingSlotID
    /// A slot id without exactly one `#` between two parts.
    case malformedSlotID
    /// The slot belongs to another application than the event.
    case slotApplicationMismatch
    /// `status` is neither `open` nor `closed`.
    case unknownSlotStatus

    // Notification and decline.

    case unknownNotificationType
    /// `m.relates_to` is no reference to an event.
    case missingReference

    // Media keys.

    /// The event type carries no media keys.
    case notAKeyEvent
    case missingKey
    /// The key is not base64.
    case malformedKey
    /// The key is shorter than 16 or longer than 64 bytes.
    case invalidKeyLength
    /// The index is no integer of 0...255.
    case invalidKeyIndex

    // One-to-one calls.

    /// `offer`, `answer` or `description` is missing or lacks `sdp`.
    case missingDescription
    /// The description's type does not belong into this event.
    case invalidDescriptionType
    case invalidLifetime
    /// `invitee` is no user id.
    case invalidInvitee
    /// `candidates` is no list of candidates.
    case invalidCandidates
    case tooManyCandidates
    case missingSelectedParty
    case missingStreamMetadata
    case missingAssertedIdentity

    // The roster.

    /// The membership was over before it arrived.
    case expired
    /// The sender has left the room or was removed from it.
    case senderNotJoined
    /// A newer event of the same sticky key is known (MSC4354).
    case superseded
    case tooManyRooms
    case tooManyMemberships
    case tooManyMembershipsInRoom
    case tooManyMembershipsOfUser
    case tooManySlots
}
