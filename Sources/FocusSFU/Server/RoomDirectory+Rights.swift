// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers

/// Rights in running calls, and who is in them.
extension RoomDirectory {
    /// Gives the sessions of an identity other rights at once, and every join with a token from before.
    ///
    /// - Returns: false when room or identity were not there.
    @discardableResult
    package func setRights(
        _ rights: ParticipantRights, ofIdentity identity: String, inRoom room: String
    ) async -> Bool {
        // Before the session: a join that the worker takes after it then finds the change.
        let limits = configuration.limits
        guard identity.utf8.count <= limits.identityLength, room.utf8.count <= limits.roomNameLength else {
            return false
        }
        standingRights.withLockedValue {
            $0.change(room: room, identity: identity, to: rights, at: UnixClock.seconds())
        }
        guard let home = worker(ofRoom: room) else { return false }
        let changed = try? await home.administer(room: room) { room throws(RoomServiceError) in
            let sessions = room.sessions(of: identity)
            for participant in sessions { participant.take(rights) }
            return !sessions.isEmpty
        }
        return changed ?? false
    }

    /// The claims as they count now: with the rights that were changed since the token was issued.
    ///
    /// - Parameter identity: The one that joins; it may be the token's with a suffix.
    nonisolated func standing(_ claims: TokenClaims, room: String, identity: String) -> TokenClaims {
        let now = UnixClock.seconds()
        let rights = standingRights.withLockedValue { standing in
            [identity, claims.identity].compactMap {
                standing.rights(room: room, identity: $0, issuedAt: claims.issuanceTime, at: now)
            }.first
        }
        guard let rights else { return claims }
        var claims = claims
        var grant = claims.grant
        grant.canPublish = rights.canPublish
        grant.canSubscribe = rights.canSubscribe
        grant.canPublishData = rights.canPublishData
        grant.roomAdmin = rights.canAdminister
        claims.video = grant
        return claims
    }

    /// Mutes every track of a participant, which may unmute itself afterwards.
    ///
    /// - Returns: how many tracks were not muted before; nil when room or identity are not there.
    package func muteAll(ofIdentity identity: String, inRoom room: String) async -> Int? {
        guard let home = worker(ofRoom: room) else { return nil }
        let count = try? await home.administer(room: room) { room throws(RoomServiceError) -> Int? in
            let sessions = room.sessions(of: identity)
            guard !sessions.isEmpty else { return nil }
            let tracks = sessions.flatMap(\.publications.tracks).filter { !$0.info.muted }
            for track in tracks { track.publisher.muteByServer(track, muted: true) }
            return tracks.count
        }
        return count ?? nil
    }

    /// Who is in a room now, by identity; nobody when there is no such room.
    package func presence(inRoom room: String) async -> [String: ParticipantPresence] {
        guard let home = worker(ofRoom: room) else { return [:] }
        let found = try? await home.administer(room: room) { room throws(RoomServiceError) in
            room.participants.mapValues { participant in
                ParticipantPresence(
                    wasActive: participant.isActive, session: participant.sid,
                    joinedAtMilliseconds: participant.joinedAtMilliseconds)
            }
        }
        return found ?? [:]
    }
}
