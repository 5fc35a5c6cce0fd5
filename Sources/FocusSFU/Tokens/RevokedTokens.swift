// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Participants that were removed, so that the tokens they hold do not let them back in.
///
/// A removal covers every token of that room and identity that was issued no later than the removal; one issued later
/// works. Times are whole Unix seconds, like those of tokens, so a token of the very second of the removal is covered.
///
/// NOTE: LiveKit lets whoever was removed come back with the same token, which makes a removal advice.
package struct RevokedTokens: Sendable {
    private struct Participant: Hashable {
        var room: String
        var identity: String
    }

    private struct Removal {
        var participant: Participant
        var removedAt: Int64
    }

    /// Removals remembered; beyond that the oldest is forgotten first.
    package static let maximumCount = 16_384
    /// How long a removal is remembered: as long as tokens are good, plus the difference between clocks.
    package static let memorySeconds: Int64 = 24 * 3_600 + AccessTokenVerifier.leewaySeconds

    private let maximumCount: Int
    private var removedAt: [Participant: Int64] = [:]
    /// Oldest first from `head` on; one whose time is not that of ``removedAt`` was repeated later and is void.
    private var order: [Removal] = []
    private var head = 0

    package init(maximumCount: Int = RevokedTokens.maximumCount) {
        self.maximumCount = max(1, maximumCount)
    }

    package var count: Int { removedAt.count }

    /// Revokes what was issued for `identity` in `room` up to `now`.
    package mutating func revoke(room: String, identity: String, at now: Int64) {
        forget(before: now &- Self.memorySeconds)
        let participant = Participant(room: room, identity: identity)
        // A clock that was set back must not make an earlier removal void.
        let time = max(now, removedAt[participant] ?? now)
        guard removedAt.updateValue(time, forKey: participant) != time else { return }
        order.append(Removal(participant: participant, removedAt: time))
        while removedAt.count > maximumCount { forgetOldest() }
        compact()
    }

    /// Whether a token of `identity` in `room` is revoked.
    ///
    /// - Parameter issuedAt: The token's `iat`, else its `nbf`. A token with neither cannot prove that it is newer.
    package func covers(room: String, identity: String, issuedAt: Int64?, at now: Int64) -> Bool {
        guard let time = removedAt[Participant(room: room, identity: identity)],
            now &- time <= Self.memorySeconds
        else { return false }
        return issuedAt.map { $0 <= time } ?? true
    }

    private mutating func forget(before time: Int64) {
        while head < order.count, order[head].removedAt < time { forgetOldest() }
    }

    private mutating func forgetOldest() {
        guard head < order.count else { return }
        let oldest = order[head]
        head += 1
        if removedAt[oldest.participant] == oldest.removedAt { removedAt[oldest.participant] = nil }
    }

    /// Keeps the list in proportion to what it stands for.
    private mutating func compact() {
        guard order.count > 2 * removedAt.count + 64 else { return }
        order = order[head...].filter { removedAt[$0.participant] == $0.removedAt }
        head = 0
    }
}

extension TokenClaims {
    /// When the token was issued, as far as it says: `iat`, else `nbf`, which LiveKit's SDKs write instead.
    package var issuanceTime: Int64? { issuedAt ?? notBefore }
}
