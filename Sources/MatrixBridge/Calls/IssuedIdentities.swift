// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import NIOConcurrencyHelpers

/// A participant of the focus: identities are unique within a room only.
package struct FocusParticipant: Hashable, Sendable {
    package var room: String
    package var identity: String

    package init(room: String, identity: String) {
        self.room = room
        self.identity = identity
    }
}

/// Remembers which participants tokens were issued for, by Matrix room and user, so that a user who leaves the room
/// can be taken out of its calls even when the client never announced its membership.
///
/// In memory only: participants do not outlive the process either. Bounded: the user whose token is oldest is
/// forgotten first.
package final class IssuedIdentities: Sendable {
    private struct Key: Hashable {
        var room: RoomID
        var user: UserID
    }

    private struct Entry {
        /// Oldest token first.
        var participants: [FocusParticipant] = []
        /// Grows with every token.
        var lastIssue: UInt64 = 0
    }

    private struct Table {
        var entries: [Key: Entry] = [:]
        var issueCount: UInt64 = 0
    }

    /// Users and rooms remembered.
    package static let maximumEntries = 16_384
    /// Identities of one user in one room: devices and memberships.
    package static let maximumIdentities = 64

    private let table = NIOLockedValueBox(Table())

    package init() {}

    /// - Returns: the participant that had to give way, if any: the user's oldest in that room. Nobody could take it
    ///   out later, so it must go now; newer clients have another identity each time they join.
    package func record(_ participant: FocusParticipant, of user: UserID, in room: RoomID) -> FocusParticipant? {
        let key = Key(room: room, user: user)
        return table.withLockedValue { table in
            table.issueCount += 1
            table.entries[key, default: Entry()].lastIssue = table.issueCount
            var participants = table.entries[key]?.participants ?? []
            participants.removeAll { $0 == participant }
            participants.append(participant)
            let oldest = participants.count > Self.maximumIdentities ? participants.removeFirst() : nil
            table.entries[key]?.participants = participants
            if table.entries.count > Self.maximumEntries { Self.forgetOldest(in: &table) }
            return oldest
        }
    }

    /// Forgets the user in that room.
    ///
    /// - Returns: the participants that were known.
    package func remove(user: UserID, from room: RoomID) -> Set<FocusParticipant> {
        let key = Key(room: room, user: user)
        return table.withLockedValue { Set($0.entries.removeValue(forKey: key)?.participants ?? []) }
    }

    /// Drops a sixteenth at once, so that the search for the oldest is rare.
    private static func forgetOldest(in table: inout Table) {
        let oldest = table.entries.sorted { $0.value.lastIssue < $1.value.lastIssue }.prefix(maximumEntries / 16)
        for (key, _) in oldest {
            table.entries[key] = nil
        }
    }
}
