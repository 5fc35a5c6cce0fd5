// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A publisher's say in who may receive its tracks.
extension Participant {
    func restrictSubscribers(_ request: LiveKitSubscriptionPermission) {
        publications.restriction = SubscriberRestriction(request)
        for track in publications.tracks {
            for subscriber in room.order where subscriber !== self {
                if publications.restriction.allows(subscriber, track: track) {
                    subscriber.subscriptionAllowed(to: track)
                } else {
                    subscriber.subscriptionDenied(to: track)
                }
            }
        }
    }

    /// The track's publisher lets this participant have it, after it did not.
    private func subscriptionAllowed(to track: PublishedTrack) {
        guard subscriptions.denied.remove(track.sid) != nil else { return }
        tellSubscriptionPermission(for: track, isAllowed: true)
        subscribeIfWanted(to: track)
    }

    /// The track's publisher does not let this participant have it; it is told so once.
    func subscriptionDenied(to track: PublishedTrack) {
        unsubscribe(from: track)
        guard subscriptions.denied.insert(track.sid).inserted else { return }
        tellSubscriptionPermission(for: track, isAllowed: false)
    }

    private func tellSubscriptionPermission(for track: PublishedTrack, isAllowed: Bool) {
        var update = LiveKitSubscriptionPermissionUpdate()
        update.participantSid = track.publisher.sid
        update.trackSid = track.sid
        update.allowed = isAllowed
        send(.subscriptionPermissionUpdate(update))
    }
}

/// Who may receive the tracks of one publisher; everybody unless it said otherwise.
struct SubscriberRestriction {
    private var allowsAll = true
    private var allowed: [String: Allowance] = [:]

    private struct Allowance {
        var allTracks: Bool
        var tracks: Set<String>
    }

    init() {}

    init(_ request: LiveKitSubscriptionPermission) {
        allowsAll = request.allParticipants
        for entry in request.trackPermissions {
            let key = entry.participantIdentity.isEmpty ? entry.participantSid : entry.participantIdentity
            allowed[key] = Allowance(allTracks: entry.allTracks, tracks: Set(entry.trackSids))
        }
    }

    func allows(_ subscriber: Participant, track: PublishedTrack) -> Bool {
        if allowsAll { return true }
        guard let allowance = allowed[subscriber.identity] ?? allowed[subscriber.sid] else { return false }
        return allowance.allTracks || allowance.tracks.contains(track.sid)
    }
}
