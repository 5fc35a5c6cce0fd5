// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A call announces itself: ring, or notify without ringing (MSC4075).
///
/// Three layouts are read: the deployed one with its fields at the top of the content, the newer one with them under
/// `application`, and the older `call.notify`, which had neither lifetime nor time.
package struct RTCNotification: Equatable, Sendable {
    package enum Layout: String, CaseIterable, Sendable {
        case deployed
        case application
        case callNotify
    }

    package enum Kind: String, CaseIterable, Sendable {
        case ring
        case notification
    }

    static let eventTypes: Set<String> = ["org.matrix.msc4075.rtc.notification", "m.rtc.notification"]
    static let callNotifyEventTypes: Set<String> = ["org.matrix.msc4075.call.notify", "m.call.notify"]

    /// The lifetime of a notification that states none: 30 seconds.
    package static let defaultLifetime: Milliseconds = 30_000
    /// A claimed time further away from the server's than this is not believed: 20 seconds.
    package static let maximumClockDifference: Milliseconds = 20_000
    /// More mentioned users are not read.
    package static let maximumMentionCount = 1000

    package let layout: Layout
    package let kind: Kind
    package let roomID: RoomID
    package let eventID: EventID
    package let sender: UserID
    /// The sending device, where the layout states it. A claim.
    package let claimedDeviceID: DeviceID?
    /// When the notification was sent: the sender's clock, or its server's when the two are far apart.
    package let sentAt: UnixMilliseconds
    /// How long it may ring, already capped.
    package let lifetime: Milliseconds
    package let intent: CallIntent?
    package let mentionedUsers: [UserID]
    package let mentionsRoom: Bool
    /// The sender's membership event.
    package let membershipEventID: EventID?

    /// The first instant at which nobody should ring any more.
    package var expiresAt: UnixMilliseconds { EventTime.sum(sentAt, lifetime) }

    /// Whether the notification is meant for `user`.
    package func mentions(_ user: UserID) -> Bool {
        mentionsRoom || mentionedUsers.contains(user)
    }

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RTCNotification {
        if callNotifyEventTypes.contains(event.type) { return try decodeCallNotify(event) }
        guard let application = event.content["application"]?.object else {
            return try RTCNotification(event, layout: .deployed, fields: event.content, kindKey: "notification_type")
        }
        guard try application.requiredText("type", orRefuse: .missingApplication) == SlotID.callApplication else {
            throw .otherApplication
        }
        return try RTCNotification(event, layout: .application, fields: application, kindKey: "notification_type")
    }

    private static func decodeCallNotify(_ event: RoomEvent) throws(EventRefusal) -> RTCNotification {
        let content = event.content
        guard try content.requiredText("application", orRefuse: .missingApplication) == SlotID.callApplication else {
            throw .otherApplication
        }
        guard try content.requiredText("call_id", orRefuse: .missingCallID).isEmpty else { throw .callNotOfRoom }
        return try RTCNotification(event, layout: .callNotify, fields: content, kindKey: "notify_type")
    }

    private init(
        _ event: RoomEvent,
        layout: Layout,
        fields: JSONObject,
        kindKey: String,
    ) throws(EventRefusal) {
        switch fields[kindKey]?.string {
        case "ring": self.kind = .ring
        case "notification", "notify": self.kind = .notification
        default: throw .unknownNotificationType
        }
        let claimedTime = EventTime.milliseconds(fields["sender_ts"]) ?? event.originServerTimestamp
        let difference = (claimedTime - event.originServerTimestamp).magnitude
        self.sentAt = difference > Self.maximumClockDifference.magnitude ? event.originServerTimestamp : claimedTime
        let lifetime = EventTime.milliseconds(fields["lifetime"]) ?? Self.defaultLifetime
        self.lifetime = min(lifetime, Self.maximumLifetime(layout))
        self.layout = layout
        self.roomID = event.roomID
        self.eventID = event.eventID
        self.sender = event.sender
        self.claimedDeviceID = fields["device_id"]?.string.flatMap(DeviceID.init)
        self.intent = CallIntent(fields["m.call.intent"])
        let mentions = event.content["m.mentions"]
        self.mentionedUsers = (mentions?["user_ids"]?.array ?? []).prefix(Self.maximumMentionCount)
            .compactMap { $0.string.flatMap(UserID.init) }
        self.mentionsRoom = mentions?["room"]?.bool ?? false
        self.membershipEventID = EventReference.target(of: event.content)
    }

    /// 90 seconds as deployed clients cap it, 120 in the newer layout.
    package static func maximumLifetime(_ layout: Layout) -> Milliseconds {
        switch layout {
        case .deployed, .callNotify: 90_000
        case .application: 120_000
        }
    }
}
