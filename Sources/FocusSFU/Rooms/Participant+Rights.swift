// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Rights that change in the middle of a call.
///
/// Unlike a change of permissions by the server API, which ends tracks, the loss of the right to publish only silences
/// them: they are muted at the client, and nothing of them is forwarded whatever the client does. So the right can come
/// back and the tracks go on, without a new negotiation.
extension Participant {
    func take(_ rights: ParticipantRights) {
        var new = permission
        new.canPublish = rights.canPublish
        new.canSubscribe = rights.canSubscribe && !isPublishOnly
        new.canPublishData = rights.canPublishData
        // For the next refreshed token, which is made from the claims.
        var grant = claims.grant
        grant.roomAdmin = rights.canAdminister
        claims.video = grant
        guard new != permission else { return }
        let old = permission
        permission = new
        if old.canPublish != new.canPublish {
            new.canPublish ? giveVoiceBack() : silence()
        }
        if old.canSubscribe != new.canSubscribe {
            if new.canSubscribe {
                room.subscribeToWanted(self)
            } else {
                for downTrack in subscriptions.downTracks { unsubscribe(from: downTrack.track) }
            }
        }
        room.participantChanged(self)
        sendRefreshToken()
    }

    private func silence() {
        for track in publications.tracks + publications.pending {
            // What the client had muted itself stays muted afterwards.
            track.isSilenced = !track.info.muted
            muteByServer(track, muted: true)
        }
    }

    private func giveVoiceBack() {
        for track in publications.tracks + publications.pending {
            if track.isSilenced { muteByServer(track, muted: false) }
            track.isSilenced = false
        }
    }
}
