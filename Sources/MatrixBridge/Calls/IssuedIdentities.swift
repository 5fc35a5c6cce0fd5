// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU
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

/// Remembers which participants tokens were issued for, by Matrix room and user, so that what happens to the user there
/// reaches its calls even when the client never announced its membership.
///
/// In memory only: participants do not outlive the process either. Bounded: the user whose token is oldest is
/// forgotten first.
package final class IssuedIdentities: Sendable {
    /// A participant somebody holds a token for.
    package struct Issue: Equatable, Sendable {
        package var participant: FocusParticipant
        package var generation: RTCMembership.Generation
        /// As the last token or the last change says; nil until the first.
        package var rights: ParticipantRights?
        /// Nil when the client does not say.
        package var device: DeviceID?
        /// When the last token was.
        package var issuedAt: UnixMilliseconds
    }

    /// A user in a room, with everything issued to it there.
    package struct Holder: Equatable, Sendable {
        package var room: RoomID
        package var user: UserID
        package var issues: [Issue]
    }

    private struct Key: Hashable {
        var room: RoomID
        var user: UserID
    }

    private struct Entry {
        /// Oldest token first.
        var issues: [Issue] = []
        /// Grows with every token.
        var lastIssue: UInt64 = 0
    }

    private struct Table {
        var entries: [Key: Entry] = [:]
        /// Where a user has entries.
        var rooms: [UserID: Set<RoomID>] = [:]
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
    package func record(
        _ participant: FocusParticipant, of user: UserID, in room: RoomID,
        generation: RTCMembership.Generation = .sessionState, rights: ParticipantRights? = nil,
        device: DeviceID? = nil, at now: UnixMilliseconds = 0,
    ) -> FocusParticipant? {
        let key = Key(room: room, user: user)
        return table.withLockedValue { table in
            table.issueCount += 1
            table.entries[key, default: Entry()].lastIssue = table.issueCount
            table.rooms[user, default: []].insert(room)
            var issues = table.entries[key]?.issues ?? []
            issues.removeAll { $0.participant == participant }
            issues.append(
                Issue(
                    participant: participant, generation: generation, rights: rights, device: device, issuedAt: now))
            let oldest = issues.count > Self.maximumIdentities ? issues.removeFirst() : nil
            table.entries[key]?.issues = issues
            if table.entries.count > Self.maximumEntries { Self.forgetOldest(in: &table) }
            return oldest?.participant
        }
    }

    /// Notes what a participant may do.
    ///
    /// - Returns: whether that is something else than before.
    package func setRights(
        _ rights: ParticipantRights, of participant: FocusParticipant, user: UserID, in room: RoomID,
    ) -> Bool {
        let key = Key(room: room, user: user)
        return table.withLockedValue { table in
            guard let index = table.entries[key]?.issues.firstIndex(where: { $0.participant == participant }),
                table.entries[key]?.issues[index].rights != rights
            else { return false }
            table.entries[key]?.issues[index].rights = rights
            return true
        }
    }

    /// Forgets the user in that room.
    ///
    /// - Returns: the participants that were known.
    package func remove(user: UserID, from room: RoomID) -> Set<FocusParticipant> {
        let key = Key(room: room, user: user)
        return table.withLockedValue { table in
            Set((Self.remove(key, from: &table)?.issues ?? []).map(\.participant))
        }
    }

    /// Forgets one participant of a user.
    package func remove(_ participant: FocusParticipant, of user: UserID) {
        table.withLockedValue { table in
            for room in table.rooms[user] ?? [] {
                let key = Key(room: room, user: user)
                table.entries[key]?.issues.removeAll { $0.participant == participant }
                if table.entries[key]?.issues.isEmpty == true { _ = Self.remove(key, from: &table) }
            }
        }
    }

    /// Everything issued to a user, in all rooms.
    package func holders(of user: UserID) -> [Holder] {
        table.withLockedValue { table in
            (table.rooms[user] ?? []).compactMap { room in
                table.entries[Key(room: room, user: user)].map { Holder(room: room, user: user, issues: $0.issues) }
            }
        }
    }

    /// Everything issued to the users of a server, in all rooms.
    ///
    /// - Complexity: linear in the users remembered.
    package func holders(ofServer server: ServerName) -> [Holder] {
        table.withLockedValue { table in
            table.entries.filter { $0.key.user.serverName == server }
                .map { Holder(room: $0.key.room, user: $0.key.user, issues: $0.value.issues) }
        }
    }

    private static func remove(_ key: Key, from table: inout Table) -> Entry? {
        table.rooms[key.user]?.remove(key.room)
        if table.rooms[key.user]?.isEmpty == true { table.rooms[key.user] = nil }
        return table.entries.removeValue(forKey: key)
    }

    /// Everybody who holds a token, of one room or of all.
    package func holders(in room: RoomID? = nil) -> [Holder] {
        table.withLockedValue { table in
            table.entries.filter { room == nil || $0.key.room == room }
                .map { Holder(room: $0.key.room, user: $0.key.user, issues: $0.value.issues) }
        }
    }

    /// Drops a sixteenth at once, so that the search for the oldest is rare.
    private static func forgetOldest(in table: inout Table) {
        let oldest = table.entries.sorted { $0.value.lastIssue < $1.value.lastIssue }.prefix(maximumEntries / 16)
        for (key, _) in oldest {
            _ = remove(key, from: &table)
        }
    }
}
