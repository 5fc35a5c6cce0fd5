// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// What a joining participant is given.
extension MediaPlane {
    func iceServers(for participant: Participant) -> [LiveKitICEServer] {
        environment.iceServers.iceServers(forIdentity: participant.identity, unixSeconds: UnixClock.seconds())
            .map { entry in
                var server = LiveKitICEServer()
                server.urls = entry.urls
                server.username = entry.username
                server.credential = entry.credential
                return server
            }
    }

    /// A token like the participant's own with what has changed since, valid as long as that one, ten minutes at least.
    func refreshedToken(for participant: Participant) -> String? {
        guard let key = configuration.keys[participant.claims.issuer] else { return nil }
        var claims = participant.claims
        let now = UnixClock.seconds()
        claims.notBefore = nil
        claims.issuedAt = now
        claims.expiry = max(claims.expiry ?? now, now + 600)
        claims.name = participant.name
        claims.metadata = participant.metadata
        claims.attributes = participant.attributes
        claims.apply(participant.permission)
        return try? AccessToken.sign(claims, with: key)
    }

    /// A description of a client that cannot be used; the reason goes to the log, not the text.
    func refuseDescription(_ error: SDPError, of participant: Participant) {
        participant.room.log.info(
            "session description refused",
            metadata: ["participant": .string(participant.sid), "reason": .string(error.description)])
    }
}
