// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// A new session, and the messages of a running one.
extension Room {
    /// Makes the participant and sends it the join response, the answer to an offer that came along, and the others the
    /// news.
    func join(
        identity: String, claims: TokenClaims, parameters: JoinParameters, signal: any SignalSink,
        unixMilliseconds: Int64
    ) -> Participant {
        let publisher = PeerTransport(target: .publisher, plane: plane)
        let subscriber =
            parameters.usesSinglePeerConnection ? nil : PeerTransport(target: .subscriber, plane: plane)
        let participant = Participant(
            room: self, identity: identity, claims: claims, parameters: parameters, signal: signal,
            publisher: publisher, subscriber: subscriber, unixMilliseconds: unixMilliseconds, now: plane.now)
        publisher.participant = participant
        subscriber?.participant = participant
        add(participant)
        log.info(
            "participant joined",
            metadata: [
                "room": .string(name), "participant": .string(participant.sid),
                "client": .string("\(parameters.client.sdk) \(parameters.client.version)"),
                "connections": .stringConvertible(parameters.usesSinglePeerConnection ? 1 : 2),
            ])
        participant.sendJoin()
        participant.nextTokenRefresh = plane.now.advanced(byMilliseconds: 300_000)
        participant.sendRefreshToken()
        for request in parameters.addTrackRequests.prefix(plane.configuration.limits.pendingTracksPerParticipant) {
            participant.addTrack(request)
        }
        // Subscribed first, so that the answer to an offer that came with the join carries what is there already.
        subscribeToWanted(participant)
        if let offer = parameters.publisherOffer { participant.publisherOffered(offer) }
        // Two connections: even alone in a room the client waits for the server's first offer.
        if subscriber != nil { participant.negotiateDownstream() }
        participantChanged(participant, includesSelf: false)
        roomChanged()
        return participant
    }
}

extension Participant {
    /// One message of the client, in order.
    func received(_ message: LiveKitSignalRequest.OneOf_Message) {
        switch message {
        case .offer(let description): publisherOffered(description)
        case .answer(let description): subscriberAnswered(description)
        case .addTrack(let request): addTrack(request)
        case .mute(let request): muteTrack(request)
        case .subscription(let request): updateSubscription(request)
        case .trackSetting(let request): updateTrackSettings(request)
        case .leave: room.remove(self, reason: .clientInitiated, action: nil)
        case .updateMetadata(let request): updateMetadata(request)
        case .updateAudioTrack(let request): updateAudioTrack(request)
        case .updateVideoTrack(let request): updateVideoTrack(request)
        case .subscriptionPermission(let request): restrictSubscribers(request)
        case .syncState(let state): synchronise(state)
        case .simulate(let scenario): simulate(scenario)
        case .publishDataTrackRequest(let request):
            respond(.unsupportedType, to: .publishDataTrack(request), message: "data tracks are not supported")
        case .unpublishDataTrackRequest(let request):
            respond(.notFound, to: .unpublishDataTrack(request), message: "no such data track")
        // A lite agent learns the client's addresses from its checks; the others have no effect in this version of the
        // protocol, or are answered by the socket.
        case .trickle, .updateLayers, .updateDataSubscription, .storeDataBlobRequest, .getDataBlobRequest, .ping,
            .pingReq:
            break
        }
    }

    func updateMetadata(_ request: LiveKitUpdateParticipantMetadata) {
        let limits = room.plane.configuration.limits
        guard permission.canUpdateMetadata else {
            return respond(
                .notAllowed, to: .updateMetadata(request), requestID: request.requestID,
                message: "does not have permission to update own metadata")
        }
        let merged = attributes.merging(request.attributes) { _, new in new }.filter { !$0.value.isEmpty }
        let attributesBytes = merged.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard request.metadata.utf8.count <= limits.metadataBytes, attributesBytes <= limits.attributesBytes,
            request.name.utf8.count <= limits.nameLength
        else {
            return respond(
                .limitExceeded, to: .updateMetadata(request), requestID: request.requestID,
                message: "name, metadata or attributes are too long")
        }
        if !request.metadata.isEmpty { metadata = request.metadata }
        if !request.name.isEmpty { name = request.name }
        attributes = merged
        room.participantChanged(self)
        respond(.ok, to: .updateMetadata(request), requestID: request.requestID)
        sendRefreshToken()
    }

    /// After a resume: a client that publishes what we do not know, or the other way round, starts anew.
    private func synchronise(_ state: LiveKitSyncState) {
        let unknown =
            state.publishTracks.count > Self.sidsOfRequest
            || state.publishTracks.contains { publications.track(sid: $0.track.sid) == nil }
        guard !unknown else { return room.remove(self, reason: .stateMismatch, action: .reconnect) }
        if state.hasSubscription { updateSubscription(state.subscription) }
        for sid in sids(named: [state.trackSidsDisabled]) {
            guard let downTrack = subscriptions.downTrack(sid: sid) else { continue }
            var settings = subscriptions.wishes.settings[sid] ?? .init()
            settings.isDisabled = true
            subscriptions.wishes.set(settings, of: sid)
            downTrack.isDisabled = true
            downTrack.updateFlow()
        }
    }
}
