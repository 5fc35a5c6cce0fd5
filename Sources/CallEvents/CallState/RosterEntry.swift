// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the roster remembers of one membership event: a row of a table, sufficient to rebuild the roster.
///
/// A sticky leave is remembered too until it expires, so that a join it replaced cannot come back (MSC4354).
package struct RosterEntry: Equatable, Sendable, Codable {
    /// What replaces what: a state event its predecessor under the same state key, whoever sent it; a sticky event
    /// its predecessor of the same sender, type and sticky key.
    package enum Key: Hashable, Sendable, Codable {
        case state(String)
        case sticky(sender: UserID, type: String, key: String)

        /// The key as text, unique within a room.
        package var storageKey: String {
            let parts: [String] =
                switch self {
                case .state(let key): ["state", key]
                case .sticky(let sender, let type, let key): ["sticky", sender.rawValue, type, key]
                }
            return String(decoding: JSONValue.array(parts.map { .string($0) }).compactJSON, as: UTF8.self)
        }
    }

    package struct ID: Hashable, Sendable, Codable {
        package let roomID: RoomID
        package let key: Key

        package init(roomID: RoomID, key: Key) {
            self.roomID = roomID
            self.key = key
        }
    }

    package let id: ID
    package let sender: UserID
    package let eventID: EventID
    /// When the member joined, kept over the renewals of a sticky event.
    package let joinedAt: UnixMilliseconds
    /// The first instant at which the entry no longer counts.
    package let expiresAt: UnixMilliseconds
    /// Nil for a leave.
    package let membership: RTCMembership?

    /// MSC4354: the later expiry wins; of equal ones the larger event id.
    func supersedes(_ other: RosterEntry) -> Bool {
        expiresAt == other.expiresAt ? eventID > other.eventID : expiresAt > other.expiresAt
    }
}
