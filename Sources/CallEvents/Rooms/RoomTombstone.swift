// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The room was closed and, usually, replaced by another (`m.room.tombstone`).
package struct RoomTombstone: Equatable, Sendable {
    static let eventType = "m.room.tombstone"

    package let roomID: RoomID
    /// Where its members go; nil when the event names no usable room.
    package let replacement: RoomID?

    init(_ event: RoomEvent) {
        self.roomID = event.roomID
        self.replacement = event.content["replacement_room"]?.string.flatMap(RoomID.init)
    }
}
