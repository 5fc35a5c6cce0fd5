// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A place in a room where one session runs: application, `#`, name (MSC4143).
package struct SlotID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// `m.call` for every call.
    package let application: String
    package let name: String

    /// The application of every call.
    package static let callApplication = "m.call"
    /// The slot that generation ``RTCMembership/Generation/sessionState`` implies; its LiveKit room is hashed over it.
    package static let compatibilityRoomCall = SlotID(application: callApplication, name: "ROOM")
    /// The slot of the room's call in the settled proposal.
    package static let roomCall = SlotID(application: callApplication, name: "room")

    /// Nil unless there is exactly one `#` between two parts, in at most 255 bytes.
    package init?(_ rawValue: String) {
        guard MatrixText.isWellFormed(rawValue) else { return nil }
        let parts = rawValue.split(separator: "#", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        self.init(application: String(parts[0]), name: String(parts[1]))
    }

    private init(application: String, name: String) {
        self.application = application
        self.name = name
    }

    package var description: String { "\(application)#\(name)" }

    /// The slot people see: `m.call#ROOM` and `m.call#room` are one call of the room, though two LiveKit rooms.
    package var displayed: SlotID {
        self == Self.compatibilityRoomCall ? Self.roomCall : self
    }
}
