// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a room's `m.room.create` says about its authority.
package struct RoomCreation: Equatable, Sendable {
    static let eventType = "m.room.create"
    /// More of them are not read.
    static let maximumCreatorCount = 1_024

    /// `room_version`; "1" when the event has none.
    package let version: String
    /// Who created the room, and from version 12 on those named beside.
    package let creators: Set<UserID>

    /// Whether creators stand above all power levels (room version 12, MSC4289).
    package let privilegesCreators: Bool

    /// - Parameter sender: Who sent the event.
    package init(sender: UserID, content: JSONObject) {
        self.version = content.text("room_version", upTo: 32) ?? "1"
        self.privilegesCreators = Int(version).map { $0 >= 12 } ?? (version == "org.matrix.hydra.11")
        if privilegesCreators {
            let more = (content["additional_creators"]?.array ?? []).prefix(Self.maximumCreatorCount)
            self.creators = Set([sender] + more.compactMap { $0.string.flatMap(UserID.init) })
        } else {
            self.creators = [content["creator"]?.string.flatMap(UserID.init) ?? sender]
        }
    }
}
