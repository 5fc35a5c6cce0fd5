// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One room event in the client format, as a homeserver pushes it in an application-service transaction.
///
/// The identifiers are checked; the content is not. A homeserver has verified signatures and authorisation, so
/// ``sender`` may be trusted; nothing inside ``content`` may.
package struct RoomEvent: Equatable, Sendable {
    package let type: String
    package let sender: UserID
    package let roomID: RoomID
    package let eventID: EventID
    /// Present on state events only.
    package let stateKey: String?
    /// When the sender's server says the event was sent.
    package let originServerTimestamp: UnixMilliseconds
    package let content: JSONObject
    /// How old our homeserver says the event was when it pushed it.
    package let age: Milliseconds?
    /// When that was; nil when nobody noted it.
    package var receivedAt: UnixMilliseconds?
    /// How long the event is sticky, uncapped; nil when it is not sticky (MSC4354).
    package let stickyDuration: Milliseconds?
    /// The event an `m.room.redaction` removes.
    package let redacts: EventID?
    /// The content was removed before the event reached us.
    package let isRedacted: Bool
    /// The device that encrypted the event, once decryption proved it; nil for an event sent in the clear.
    package let encryptingDevice: DeviceID?

    package init(
        type: String,
        sender: UserID,
        roomID: RoomID,
        eventID: EventID,
        stateKey: String? = nil,
        originServerTimestamp: UnixMilliseconds,
        content: JSONObject,
        age: Milliseconds? = nil,
        stickyDuration: Milliseconds? = nil,
        redacts: EventID? = nil,
        isRedacted: Bool = false,
        encryptingDevice: DeviceID? = nil,
    ) {
        self.type = type
        self.sender = sender
        self.roomID = roomID
        self.eventID = eventID
        self.stateKey = stateKey
        self.originServerTimestamp = min(max(0, originServerTimestamp), EventTime.maximum)
        self.content = content
        self.age = age
        self.stickyDuration = stickyDuration
        self.redacts = redacts
        self.isRedacted = isRedacted
        self.encryptingDevice = encryptingDevice
    }

    /// Checks the envelope of an event.
    package static func decode(_ json: JSONValue) -> Result<RoomEvent, EventRefusal> {
        do throws(EventRefusal) {
            return .success(try RoomEvent(json))
        } catch {
            return .failure(error)
        }
    }

    /// The same event with what its encryption hid.
    ///
    /// Stickiness, sender and time stay those of the encrypted event, because only those are visible to servers.
    package func decrypted(type: String, content: JSONObject, by device: DeviceID) -> RoomEvent {
        var event = RoomEvent(
            type: type,
            sender: sender,
            roomID: roomID,
            eventID: eventID,
            originServerTimestamp: originServerTimestamp,
            content: content,
            age: age,
            stickyDuration: stickyDuration,
            isRedacted: isRedacted,
            encryptingDevice: device,
        )
        event.receivedAt = receivedAt
        return event
    }

    private init(_ json: JSONValue) throws(EventRefusal) {
        guard let event = json.object else { throw .notAnObject }
        let type = try event.requiredText("type", orRefuse: .invalidType)
        guard !type.isEmpty else { throw .invalidType }
        guard let sender = event["sender"]?.string.flatMap(UserID.init) else { throw .invalidSender }
        guard let roomID = event["room_id"]?.string.flatMap(RoomID.init) else { throw .invalidRoomID }
        guard let eventID = event["event_id"]?.string.flatMap(EventID.init) else { throw .invalidEventID }
        let stateKey: String? =
            switch event["state_key"] {
            case nil, .null: nil
            default: try event.requiredText("state_key", orRefuse: .invalidStateKey)
            }
        guard let timestamp = EventTime.milliseconds(event["origin_server_ts"]) else { throw .invalidTimestamp }
        guard let content = event["content"]?.object else { throw .invalidContent }
        let unsigned = event["unsigned"]?.object ?? [:]
        let sticky = event["msc4354_sticky"] ?? event["sticky"]
        // Before room version 11 only the outer member is protected, and homeservers copy the inner one outwards.
        let redacts = event["redacts"]?.string ?? content["redacts"]?.string
        self.init(
            type: type,
            sender: sender,
            roomID: roomID,
            eventID: eventID,
            stateKey: stateKey,
            originServerTimestamp: timestamp,
            content: content,
            age: EventTime.milliseconds(unsigned["age"] ?? event["age"]),
            stickyDuration: EventTime.milliseconds(sticky?["duration_ms"]),
            redacts: redacts.flatMap(EventID.init),
            isRedacted: unsigned["redacted_because"]?.object != nil,
        )
    }
}
