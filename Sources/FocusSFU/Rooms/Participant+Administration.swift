// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Changes that a server decides: mutes, metadata, permissions.
extension Participant {
    /// Mutes (or unmutes) a track of the client; the client follows and tells nobody again.
    func muteByServer(_ track: PublishedTrack, muted: Bool) {
        guard track.info.muted != muted else { return }
        track.info.muted = muted
        track.info.version = room.nextVersionStamp()
        track.updateFlow()
        var mute = LiveKitMuteTrackRequest()
        mute.sid = track.sid
        mute.muted = muted
        send(.mute(mute))
        room.publicationChanged(of: self)
    }

    /// - Throws: when a value is too long; nothing has changed then.
    func updateByServer(
        _ request: LiveKitUpdateParticipantRequest, limits: FocusLimits
    ) throws(RoomServiceError) {
        guard request.metadata.utf8.count <= limits.metadataBytes else {
            throw .invalidArgument("metadata size exceeds limits")
        }
        guard request.name.utf8.count <= limits.nameLength else {
            throw .invalidArgument("name length exceeds limits")
        }
        let merged = attributes.merging(request.attributes) { _, new in new }.filter { !$0.value.isEmpty }
        guard merged.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) <= limits.attributesBytes else {
            throw .invalidArgument("attribute size exceeds limits")
        }
        if !request.metadata.isEmpty { metadata = request.metadata }
        if !request.name.isEmpty { name = request.name }
        attributes = merged
        if request.hasPermission { change(permission: request.permission) }
        room.participantChanged(self)
        sendRefreshToken()
    }

    /// Takes a whole new set of permissions and ends what it no longer allows.
    func change(permission new: LiveKitParticipantPermission) {
        let wasHidden = isHidden
        permission = new
        for track in publications.tracks + publications.pending
        where !new.allowsPublishing(track.info.type, from: track.info.source) {
            unpublishByServer(track)
        }
        if new.canSubscribe {
            room.subscribeToWanted(self)
        } else {
            for downTrack in subscriptions.downTracks { unsubscribe(from: downTrack.track) }
        }
        if isHidden != wasHidden { room.visibilityChanged(of: self) }
    }

    private func unpublishByServer(_ track: PublishedTrack) {
        var unpublished = LiveKitTrackUnpublishedResponse()
        unpublished.trackSid = track.sid
        if client.protocol > 6 { send(.trackUnpublished(unpublished)) }
        room.unpublish(track)
    }
}
