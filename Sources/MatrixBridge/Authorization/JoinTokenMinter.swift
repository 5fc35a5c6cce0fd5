// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import FocusSFU

/// Writes the tokens with which clients join a call on the focus.
package struct JoinTokenMinter: Sendable {
    /// Checked when a client joins, so a call may last longer.
    package static let lifetimeSeconds: Int64 = 3_600
    /// For clients that ask their homeserver for a new one each time.
    package static let shortLifetimeSeconds: Int64 = 600

    private let key: APIKey

    package init(key: APIKey) {
        self.key = key
    }

    /// A token for one identity in one room. It never allows to create rooms, and to change who is in them only if the
    /// rights say so.
    package func mint(
        _ participant: FocusParticipant, rights: ParticipantRights, unixSeconds: Int64,
        lifetimeSeconds: Int64 = JoinTokenMinter.lifetimeSeconds,
    ) throws(TokenExchangeRefusal) -> String {
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.room = participant.room
        grant.canSubscribe = rights.canSubscribe
        grant.canPublish = rights.canPublish
        grant.canPublishData = rights.canPublishData
        grant.roomAdmin = rights.canAdminister
        grant.canUpdateOwnMetadata = false
        var claims = TokenClaims()
        claims.identity = participant.identity
        claims.issuedAt = unixSeconds
        claims.notBefore = unixSeconds
        claims.expiry = unixSeconds + lifetimeSeconds
        claims.video = grant
        do throws(AccessTokenFault) {
            return try AccessToken.sign(claims, with: key)
        } catch {
            throw .signingFailed
        }
    }
}
