// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a room event means for calls. Decoding always gives a value; what cannot be used is ``refused(_:)``.
package enum CallEvent: Equatable, Sendable {
    /// A device takes part in a MatrixRTC call, or stops.
    case membership(RTCMembershipStatement)
    case slot(RTCSlot)
    case notification(RTCNotification)
    case decline(RTCDecline)
    /// One-to-one calls of the Matrix specification.
    case legacy(LegacyCallEvent)
    /// Somebody joined or left the room.
    case roomMember(RoomMember)
    /// What a room's creation says about its authority.
    case creation(RoomCreation)
    case powerLevels(RoomPowerLevels)
    case tombstone(RoomTombstone)
    /// Who may come into the room changed: anybody, or not.
    case joinRule(isPublic: Bool)
    /// Messages of the room are encrypted from now on.
    case encryption
    /// A text in the clear, which may be a command.
    case message(RoomMessage)
    /// The event with this id was emptied.
    case redaction(EventID)
    /// Nothing to do with calls.
    case other
    case refused(EventRefusal)

    package static func decode(_ event: RoomEvent) -> CallEvent {
        do throws(EventRefusal) {
            return try decodeThrowing(event)
        } catch {
            return .refused(error)
        }
    }

    private static func decodeThrowing(_ event: RoomEvent) throws(EventRefusal) -> CallEvent {
        switch event.type {
        case SessionStateMembership.eventType:
            return .membership(try SessionStateMembership.decode(event))
        case RoomMember.eventType:
            return .roomMember(try RoomMember.decode(event))
        case RoomCreation.eventType where event.stateKey == "":
            return .creation(RoomCreation(sender: event.sender, content: event.content))
        case RoomPowerLevels.eventType where event.stateKey == "":
            return .powerLevels(RoomPowerLevels(event.content))
        case RoomTombstone.eventType where event.stateKey == "":
            return .tombstone(RoomTombstone(event))
        case RoomJoinRule.eventType where event.stateKey == "":
            return .joinRule(isPublic: RoomJoinRule.isPublic(event.content))
        case "m.room.encryption" where event.stateKey == "":
            return .encryption
        case "m.room.redaction":
            guard let target = event.redacts else { throw .missingRedactionTarget }
            return .redaction(target)
        case let type where RTCSlot.eventTypes.contains(type):
            return .slot(try RTCSlot.decode(event))
        case _ where event.isRedacted:
            return .redaction(event.eventID)
        case let type where StickyMembership.eventTypes.contains(type):
            return .membership(try StickyMembership.decode(event))
        case RoomMessage.eventType:
            return RoomMessage(event).map { .message($0) } ?? .other
        case let type
        where RTCNotification.eventTypes.contains(type) || RTCNotification.callNotifyEventTypes.contains(type):
            return .notification(try RTCNotification.decode(event))
        case let type where RTCDecline.eventTypes.contains(type):
            return .decline(try RTCDecline.decode(event))
        default:
            guard let legacy = try LegacyCallEvent.decode(event) else { return .other }
            return .legacy(legacy)
        }
    }
}
