// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Participants that were removed, so that the tokens they hold do not let them back in.
///
/// A removal covers every token of that room and identity that was issued up to a time, and those that the removed
/// session had, whenever they were issued; one issued later works. Times are whole Unix seconds, like those of tokens:
/// whoever removes decides whether an unknown token of the very second is covered.
///
/// NOTE: LiveKit lets whoever was removed come back with the same token, which makes a removal advice.
package struct RevokedTokens: Sendable {
    private struct Participant: Hashable {
        var room: String
        var identity: String
    }

    private struct Extent {
        var issuedUpTo: Int64
        var signatures: Set<[UInt8]>
    }

    private struct Removal {
        var participant: Participant
        var issuedUpTo: Int64
    }

    /// Removals remembered; beyond that the oldest is forgotten first.
    package static let maximumCount = 16_384
    /// How long a removal is remembered: as long as tokens are good, plus the difference between clocks.
    package static let memorySeconds: Int64 = 24 * 3_600 + AccessTokenVerifier.leewaySeconds

    /// Tokens of one session remembered, and those of one identity removed several times within a second.
    static let maximumSignatureCount = 8
    private static let maximumSignaturesOfIdentity = 64

    private let maximumCount: Int
    private var extents: [Participant: Extent] = [:]
    /// Oldest first from `head` on; one whose time is not that of ``extents`` was repeated later and is void.
    private var order: [Removal] = []
    private var head = 0

    package init(maximumCount: Int = RevokedTokens.maximumCount) {
        self.maximumCount = max(1, maximumCount)
    }

    package var count: Int { extents.count }

    /// Revokes what was issued for `identity` in `room` up to a time, now or a moment ago.
    ///
    /// - Parameter signatures: of tokens that are revoked whenever they were issued.
    package mutating func revoke(
        room: String, identity: String, issuedUpTo now: Int64, signatures: [[UInt8]] = []
    ) {
        forget(before: now &- Self.memorySeconds)
        let participant = Participant(room: room, identity: identity)
        guard let before = extents[participant], before.issuedUpTo >= now else {
            extents[participant] = Extent(
                issuedUpTo: now, signatures: Set(signatures.prefix(Self.maximumSignaturesOfIdentity)))
            order.append(Removal(participant: participant, issuedUpTo: now))
            while extents.count > maximumCount { forgetOldest() }
            return compact()
        }
        // Again within the second, or the clock was set back, which must not make the earlier removal void.
        extents[participant]?.signatures = Set(
            (signatures + before.signatures).prefix(Self.maximumSignaturesOfIdentity))
    }

    /// Whether a token of `identity` in `room` is revoked.
    ///
    /// - Parameter issuedAt: The token's `iat`, else its `nbf`. A token with neither cannot prove that it is newer.
    package func covers(
        room: String, identity: String, issuedAt: Int64?, signature: [UInt8] = [], at now: Int64
    ) -> Bool {
        guard let extent = extents[Participant(room: room, identity: identity)],
            now &- extent.issuedUpTo <= Self.memorySeconds
        else { return false }
        return issuedAt.map { $0 <= extent.issuedUpTo } ?? true || extent.signatures.contains(signature)
    }

    private mutating func forget(before time: Int64) {
        while head < order.count, order[head].issuedUpTo < time { forgetOldest() }
    }

    private mutating func forgetOldest() {
        guard head < order.count else { return }
        let oldest = order[head]
        head += 1
        if extents[oldest.participant]?.issuedUpTo == oldest.issuedUpTo { extents[oldest.participant] = nil }
    }

    /// Keeps the list in proportion to what it stands for.
    private mutating func compact() {
        guard order.count > 2 * extents.count + 64 else { return }
        order = order[head...].filter { extents[$0.participant]?.issuedUpTo == $0.issuedUpTo }
        head = 0
    }
}

extension TokenClaims {
    /// When the token was issued, as far as it says: `iat`, else `nbf`, which LiveKit's SDKs write instead.
    package var issuanceTime: Int64? { issuedAt ?? notBefore }
}
