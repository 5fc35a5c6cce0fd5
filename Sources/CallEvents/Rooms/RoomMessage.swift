// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A text that somebody wrote (`m.room.message` of type `m.text`), the way commands come.
///
/// Notices are not read, so that two bots cannot talk to each other for ever, and neither are edits.
package struct RoomMessage: Equatable, Sendable {
    static let eventType = "m.room.message"
    /// Longer texts are no commands.
    package static let maximumByteCount = 4_096

    package let roomID: RoomID
    package let eventID: EventID
    package let sender: UserID
    package let body: String
    package let sentAt: UnixMilliseconds
    /// It came encrypted, and so must whatever answers it.
    package let wasEncrypted: Bool

    /// Nil for what is no command.
    init?(_ event: RoomEvent) {
        guard event.stateKey == nil, event.content["msgtype"]?.string == "m.text",
            event.content["m.relates_to"]?["rel_type"]?.string != "m.replace",
            let body = event.content.text("body", upTo: Self.maximumByteCount), !body.isEmpty
        else { return nil }
        self.roomID = event.roomID
        self.eventID = event.eventID
        self.sender = event.sender
        self.body = body
        self.sentAt = event.originServerTimestamp
        self.wasEncrypted = event.encryptingDevice != nil
    }
}
