// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Subscribing: which tracks flow to this participant, and the negotiation that opens their sections.
extension Participant {
    private static let sectionsWithoutReuse = 100
    /// Tracks that one request may name; finding each costs a look at all.
    static let sidsOfRequest = 1_000
    /// Offers wait this long for more changes; the first ones of a quiet connection go out almost at once.
    private static let firstNegotiationDelayMilliseconds: UInt64 = 10
    private static let furtherNegotiationDelayMilliseconds: UInt64 = 150
    /// A client that does not answer an offer, or does not offer when asked, has lost its way.
    private static let negotiationTimeoutMilliseconds: UInt64 = 15_000

    func subscribe(to track: PublishedTrack) {
        let publisher = track.publisher
        guard permission.canSubscribe, publisher !== self, !publisher.isHidden, track.isPublished,
            subscriptions.downTrack(sid: track.sid) == nil
        else { return }
        guard publisher.publications.restriction.allows(self, track: track) else {
            return subscriptionDenied(to: track)
        }
        let wasIncomplete = subscriptions.isIncomplete
        guard subscriptions.takePlace(for: track, limit: receptionLimit) else {
            if !wasIncomplete { room.plane.environment.signalRefusals.count(.receptionFull) }
            return
        }
        if !receives(from: publisher) { room.tellSpeech(of: publisher, to: self, isHeard: true) }
        let downTrack = DownTrack(track: track, subscriber: self)
        if let settings = subscriptions.wishes.settings[track.sid] { downTrack.apply(settings) }
        subscriptions.add(downTrack)
        track.add(downTrack)
        if track.downTracks.count == 1 { publisher.announceFirstSubscriber(of: track) }
        negotiateDownstream()
    }

    private var receptionLimit: FocusLimits.Reception {
        let limits = room.plane.configuration.limits
        return usesSinglePeerConnection ? limits.receptionByOneConnection : limits.reception
    }

    /// Subscribes unless the client wants something else.
    func subscribeIfWanted(to track: PublishedTrack) {
        subscriptions.wishes.came(track.sid)
        if subscriptions.wishes.wants(track.sid, byDefault: autoSubscribe) { subscribe(to: track) }
    }

    private func receives(from publisher: Participant) -> Bool {
        subscriptions.downTracks.contains { $0.track.publisher === publisher }
    }

    func unsubscribe(from track: PublishedTrack) {
        guard let downTrack = subscriptions.downTrack(sid: track.sid) else { return }
        downTrack.detach()
        let held = downTrack.mid != nil
        subscriptions.remove(downTrack)
        if !receives(from: track.publisher) { room.tellSpeech(of: track.publisher, to: self, isHeard: false) }
        if held { negotiateDownstream(hasVacated: true) }
    }

    private func announceFirstSubscriber(of track: PublishedTrack) {
        if client.sdk == .rust, client.protocol < 10 { return }
        var subscribed = LiveKitTrackSubscribed()
        subscribed.trackSid = track.sid
        send(.trackSubscribed(subscribed))
    }

    func updateSubscription(_ request: LiveKitUpdateSubscription) {
        for sid in sids(named: [request.trackSids] + request.participantTracks.map(\.trackSids)) {
            let track = room.track(sid: sid)
            switch (request.subscribe, track) {
            case (true, let track?):
                subscriptions.wishes.want(sid)
                subscribe(to: track)
                if subscriptions.downTrack(sid: sid) == nil,
                    subscriptions.isFull(forVideo: track.isVideo, limit: receptionLimit)
                {
                    answerSubscription(to: sid, .seUnknown)
                }
            case (true, nil):
                guard subscriptions.wishes.await(sid, at: room.plane.now) else {
                    answerSubscription(to: sid, .seTrackNotfound)
                    continue
                }
            case (false, let track?):
                subscriptions.wishes.decline(sid)
                unsubscribe(from: track)
            case (false, nil):
                subscriptions.wishes.forget(sid)
            }
        }
    }

    /// The tracks that a request names, each once; of too many the first.
    func sids(named lists: [[String]]) -> Set<String> {
        let first = lists.joined().prefix(Self.sidsOfRequest + 1)
        guard first.count > Self.sidsOfRequest else { return Set(first) }
        room.plane.environment.signalRefusals.count(.requestTooLong)
        return Set(first.dropLast())
    }

    /// Answers requests for tracks that never came.
    func giveUpAwaitedTracks(at now: MonotonicTime) {
        for sid in subscriptions.wishes.takeExpired(at: now) { answerSubscription(to: sid, .seTrackNotfound) }
    }

    /// Ends a subscription that cannot work and says why.
    func refuseSubscription(to track: PublishedTrack, _ error: LiveKitSubscriptionError) {
        subscriptions.wishes.decline(track.sid)
        unsubscribe(from: track)
        answerSubscription(to: track.sid, error)
    }

    private func answerSubscription(to sid: String, _ error: LiveKitSubscriptionError) {
        var response = LiveKitSubscriptionResponse()
        response.trackSid = sid
        response.err = error
        send(.subscriptionResponse(response))
    }

    func updateTrackSettings(_ request: LiveKitUpdateTrackSettings) {
        for sid in sids(named: [request.trackSids])
        where subscriptions.downTrack(sid: sid) != nil || room.track(sid: sid) != nil {
            let settings = SubscriptionWishes.Settings(
                isDisabled: request.disabled, width: request.width, height: request.height, quality: request.quality)
            subscriptions.wishes.set(settings, of: sid)
            subscriptions.downTrack(sid: sid)?.apply(settings)
        }
    }

    // MARK: Negotiation

    /// Something about the downstream sections changed: the client must hear of it.
    func negotiateDownstream(hasVacated: Bool = false) {
        if usesSinglePeerConnection { subscriptions.hasVacated = subscriptions.hasVacated || hasVacated }
        guard subscriptions.negotiationDueAt == nil else { return }
        let delay =
            subscriptions.hasNegotiated
            ? Self.furtherNegotiationDelayMilliseconds : Self.firstNegotiationDelayMilliseconds
        subscriptions.negotiationDueAt = room.plane.now.advanced(byMilliseconds: delay)
    }

    /// Called by the tick: sends what is due. Returns false when the client no longer negotiates.
    func advanceNegotiation(at now: MonotonicTime) -> Bool {
        let started = subscriptions.pendingOffer?.sentAt ?? subscriptions.requirementSentAt
        if let started, now.milliseconds(since: started) > Self.negotiationTimeoutMilliseconds {
            // Without a signal socket nobody can answer; the resume will negotiate anew.
            return signal == nil
        }
        guard let due = subscriptions.negotiationDueAt, now >= due, signal != nil else { return true }
        if usesSinglePeerConnection {
            requireSections(at: now)
        } else if subscriptions.pendingOffer == nil,
            room.plane.offers.take(
                sections: 1 + max(subscriptions.sections.count, subscriptions.downTracks.count), dueAt: due,
                isFirst: !subscriptions.hasNegotiated)
        {
            offerDownstream(at: now)
        }
        return true
    }

    private func requireSections(at now: MonotonicTime) {
        // The first answer goes to the offer that came with the join; until then there is nothing to ask for.
        guard publisher.hasRemoteDescription, subscriptions.requirementSentAt == nil else { return }
        subscriptions.negotiationDueAt = nil
        guard let requirement = subscriptions.missingSections() else { return }
        subscriptions.hasVacated = false
        subscriptions.hasNegotiated = true
        subscriptions.requirementSentAt = now
        send(.mediaSectionsRequirement(requirement))
    }

    private func offerDownstream(at now: MonotonicTime) {
        guard let subscriber else { return }
        subscriptions.negotiationDueAt = nil
        subscriptions.hasNegotiated = true
        // Transceivers can be given another track from protocol 4 on; Safari never learnt it.
        // Past so many sections a description itself becomes the problem: better a track that one browser may miss.
        let learnt = client.protocol > 3 && client.browser.lowercased() != "safari"
        let reuses = learnt || subscriptions.offeredSections.count > Self.sectionsWithoutReuse
        subscriptions.assignServerSections(reusingVacant: reuses)
        let description = Offerer(transport: subscriber.nextLocalDescription()).offer(subscriptions.offeredSections)
        var offer = LiveKitSessionDescription()
        offer.type = "offer"
        offer.id = subscriptions.nextOfferID
        offer.sdp = SDPWriter.text(of: description)
        offer.midToTrackID = subscriptions.trackIDsByMid
        subscriptions.pendingOffer = .init(
            id: offer.id, description: description, sentAt: now, vacantMids: subscriptions.vacantMids)
        subscriptions.nextOfferID &+= 1
        send(.offer(offer))
    }

    /// The client's answer on the subscriber connection.
    func subscriberAnswered(_ description: LiveKitSessionDescription) {
        guard let subscriber, let pending = subscriptions.pendingOffer else { return }
        // Clients that do not count send 0.
        guard description.id == 0 || description.id == pending.id else { return }
        subscriptions.pendingOffer = nil
        do {
            let answer = try SDPParser.parse(description.sdp)
            let (sections, transport) = try Offerer.apply(answer: answer, to: pending.description)
            subscriber.remoteDescription(transport)
            // The answer says what the client is; we are the other.
            subscriber.begin(role: transport.setup == .active ? .server : .client)
            subscriber.negotiated(sections)
            subscriptions.negotiated(sections)
            subscriptions.becameInactive(pending.vacantMids)
            if subscriptions.hasWaiting { negotiateDownstream() }
        } catch {
            room.plane.refuseDescription(error, of: self)
            room.remove(self, reason: .stateMismatch, action: .reconnect)
        }
    }
}
