// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a token means that a client resumes its session with.
extension Participant {
    /// Takes the rights of a token that was issued after the present ones were decided. An older one, or one that does
    /// not say when it was issued, must not bring back what was taken since.
    func takeRights(of latest: TokenClaims) {
        guard state != .disconnected, latest.identity == claims.identity,
            let issued = latest.issuanceTime, issued > rightsDecidedAt
        else { return }
        claims = latest
        var new = latest.participantPermission
        if isPublishOnly { new.canSubscribe = false }
        if new != permission {
            change(permission: new)
            room.participantChanged(self)
            sendRefreshToken()
        }
        rightsDecidedAt = issued
    }
}
