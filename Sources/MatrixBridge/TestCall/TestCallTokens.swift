// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// Tokens of the test-call page: a link that opens it, and what one run of the test joins its room with.
package struct TestCallTokens: Sendable {
    /// Seconds for which a link can start tests.
    package static let linkLifetimeSeconds: Int64 = 900
    /// Seconds for which the tokens of a run let somebody join; a run takes 20.
    package static let runLifetimeSeconds: Int64 = 60

    /// One run: a room of its own, and a token for each part that the page plays in it.
    package struct Run: Equatable, Sendable {
        package var room: String
        /// Sends sound and picture.
        package var publisher: String
        /// Receives them.
        package var listener: String
        /// Joins through the TURN servers alone.
        package var relay: String
    }

    /// The identity that marks a token as a link. It opens no room, and no other token of ours has it.
    private static let linkIdentity = "callbridge:test-link"
    /// The three parts. The room goes soon after the last of them.
    private static let roomSettings = #"{"maxParticipants":3,"emptyTimeout":60,"departureTimeout":5}"#

    private let key: APIKey
    private let verifier: AccessTokenVerifier

    /// The first key signs; links signed with any of them are accepted.
    ///
    /// - Returns: nil without a key.
    package init?(keys: APIKeySet) {
        guard let first = keys.keys.first else { return nil }
        key = first
        verifier = AccessTokenVerifier(keys: keys)
    }

    /// - Parameter now: Unix seconds.
    package func link(now: Int64) throws(AccessTokenFault) -> String {
        try AccessToken.sign(claims(Self.linkIdentity, lifetime: Self.linkLifetimeSeconds, now: now), with: key)
    }

    /// - Throws: TokenRefusal of the token; one that is valid and no link is refused as missing.
    package func checkLink(_ token: String, now: Int64) throws(TokenRefusal) {
        guard try verifier.verify(token, now: now).identity == Self.linkIdentity else { throw .missing }
    }

    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - generator: Names the room, which must not be guessed.
    package func run(
        now: Int64, using generator: inout some RandomNumberGenerator
    ) throws(AccessTokenFault) -> Run {
        let number = [generator.next() as UInt64, generator.next()].map { String($0, radix: 36) }.joined()
        let room = "test-" + number
        func token(_ part: String, publishes: Bool, subscribes: Bool) throws(AccessTokenFault) -> String {
            var grant = VideoGrant()
            grant.roomJoin = true
            grant.room = room
            // Whoever comes first makes the room, also where ordinary joins do not.
            grant.roomCreate = true
            grant.canPublish = publishes
            grant.canSubscribe = subscribes
            grant.canPublishData = false
            grant.canUpdateOwnMetadata = false
            var claims = claims(part, lifetime: Self.runLifetimeSeconds, now: now)
            claims.video = grant
            claims.roomConfig = try? RawJSON(text: Self.roomSettings)
            return try AccessToken.sign(claims, with: key)
        }
        return Run(
            room: room, publisher: try token("publisher", publishes: true, subscribes: false),
            listener: try token("listener", publishes: false, subscribes: true),
            relay: try token("relay", publishes: false, subscribes: false))
    }

    private func claims(_ identity: String, lifetime: Int64, now: Int64) -> TokenClaims {
        var claims = TokenClaims()
        claims.identity = identity
        claims.issuedAt = now
        claims.notBefore = now
        claims.expiry = now + lifetime
        return claims
    }
}
