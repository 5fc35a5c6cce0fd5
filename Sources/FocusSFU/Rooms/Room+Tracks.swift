// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Tracks that come and go, and who gets them.
extension Room {
    func tracksPublished(_ tracks: [PublishedTrack], by publisher: Participant) {
        for track in tracks { track.updateFlow() }
        participantChanged(publisher)
        roomChanged()
        offer(tracks, of: publisher)
    }

    /// Gives tracks to those who want them.
    func offer(_ tracks: [PublishedTrack], of publisher: Participant) {
        for subscriber in order where subscriber !== publisher {
            for track in tracks { subscriber.subscribeIfWanted(to: track) }
        }
    }

    /// The publisher went on with another codec: subscribers get new sections for it.
    func codecChanged(of track: PublishedTrack) {
        track.info.version = nextVersionStamp()
        participantChanged(track.publisher)
        for subscriber in track.downTracks.map(\.subscriber) {
            subscriber.unsubscribe(from: track)
            subscriber.subscribe(to: track)
        }
    }

    func publicationChanged(of publisher: Participant) {
        participantChanged(publisher)
    }

    /// Ends one track and tells the others.
    func unpublish(_ track: PublishedTrack) {
        end(track)
        track.publisher.publications.remove(track)
        participantChanged(track.publisher)
        roomChanged()
        if let next = track.publisher.publications.nextRequest(cid: track.cid) { track.publisher.addTrack(next) }
    }

    func end(_ track: PublishedTrack) {
        for downTrack in track.downTracks { downTrack.subscriber.unsubscribe(from: track) }
        for participant in order { participant.subscriptions.forget(track.sid) }
        track.publisher.publisher.removeStreams(of: track)
    }

    /// Subscribes to all that is there and wanted.
    func subscribeToWanted(_ subscriber: Participant) {
        for publisher in order where publisher !== subscriber {
            for track in publisher.publications.tracks { subscriber.subscribeIfWanted(to: track) }
        }
    }
}
