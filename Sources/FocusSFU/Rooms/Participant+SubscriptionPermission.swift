// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A publisher's say in who may receive its tracks.
extension Participant {
    func restrictSubscribers(_ request: LiveKitSubscriptionPermission) {
        let before = publications.restriction
        publications.restriction = SubscriberRestriction(request)
        for track in publications.tracks {
            for subscriber in room.order where subscriber !== self {
                let wasAllowed = before.allows(subscriber, track: track)
                let isAllowed = publications.restriction.allows(subscriber, track: track)
                guard wasAllowed != isAllowed else { continue }
                var update = LiveKitSubscriptionPermissionUpdate()
                update.participantSid = sid
                update.trackSid = track.sid
                update.allowed = isAllowed
                subscriber.send(.subscriptionPermissionUpdate(update))
                if isAllowed {
                    if subscriber.autoSubscribe { subscriber.subscribe(to: track) }
                } else {
                    subscriber.unsubscribe(from: track)
                }
            }
        }
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
