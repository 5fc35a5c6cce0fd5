// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Rights that were changed after tokens had been issued, so that a token from before says less than they do.
///
/// A change covers every token of that room and identity issued no later than the change, by the same rule of whole
/// seconds as ``RevokedTokens``; a token issued later knows better.
package struct StandingRights: Sendable {
    private struct Participant: Hashable {
        var room: String
        var identity: String
    }

    private struct Change {
        var rights: ParticipantRights
        var changedAt: Int64
    }

    /// Changes remembered; beyond that the oldest sixteenth is forgotten.
    package static let maximumCount = 16_384

    private let maximumCount: Int
    private var changes: [Participant: Change] = [:]

    package init(maximumCount: Int = StandingRights.maximumCount) {
        self.maximumCount = max(16, maximumCount)
    }

    package var count: Int { changes.count }

    /// From `now` on these are the rights of the participant, whatever its tokens from before say.
    package mutating func change(room: String, identity: String, to rights: ParticipantRights, at now: Int64) {
        let participant = Participant(room: room, identity: identity)
        let time = max(now, changes[participant]?.changedAt ?? now)
        changes[participant] = Change(rights: rights, changedAt: time)
        guard changes.count > maximumCount else { return }
        // Those that no token can need any more, then the oldest.
        changes = changes.filter { now &- $0.value.changedAt <= RevokedTokens.memorySeconds }
        let oldest = changes.sorted { $0.value.changedAt < $1.value.changedAt }.prefix(maximumCount / 16)
        guard changes.count > maximumCount else { return }
        for (participant, _) in oldest { changes[participant] = nil }
    }

    /// The rights that stand in place of those of a token; nil when the token's own count.
    ///
    /// - Parameter issuedAt: The token's `iat`, else its `nbf`. A token with neither cannot prove that it is newer.
    package func rights(room: String, identity: String, issuedAt: Int64?, at now: Int64) -> ParticipantRights? {
        guard let change = changes[Participant(room: room, identity: identity)],
            now &- change.changedAt <= RevokedTokens.memorySeconds
        else { return nil }
        return issuedAt.map { $0 <= change.changedAt } ?? true ? change.rights : nil
    }
}
