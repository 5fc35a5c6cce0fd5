// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Somebody will not take the call that an ``RTCNotification`` announced (MSC4310).
package struct RTCDecline: Equatable, Sendable {
    static let eventTypes: Set<String> = ["org.matrix.msc4310.rtc.decline", "m.rtc.decline"]

    package let roomID: RoomID
    package let eventID: EventID
    package let sender: UserID
    package let notificationEventID: EventID

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RTCDecline {
        guard let notification = EventReference.target(of: event.content) else { throw .missingReference }
        return RTCDecline(
            roomID: event.roomID,
            eventID: event.eventID,
            sender: event.sender,
            notificationEventID: notification,
        )
    }
}
