// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Publishing: AddTrack, the publisher's offer, mute and unpublish.
extension Participant {
    func addTrack(_ request: LiveKitAddTrackRequest) {
        func refuse(_ reason: LiveKitRequestResponse.Reason, _ message: String) {
            respond(reason, to: .addTrack(request), message: message)
        }
        guard request.isWithinLimits else {
            room.plane.environment.signalRefusals.count(.trackTooLarge)
            // Without the request, which is what is too large.
            return respond(.limitExceeded, to: nil, message: "the track's names or lists are too long")
        }
        guard request.type == .audio || request.type == .video else {
            return refuse(.unsupportedType, "only audio and video tracks can be published")
        }
        guard permission.allowsPublishing(request.type, from: request.source) else {
            return refuse(.notAllowed, "this token does not allow publishing from that source")
        }
        // A request with a sid adds a backup codec, which the focus never asks for.
        guard request.sid.isEmpty else { return refuse(.notFound, "the track takes no second codec") }
        let limits = room.plane.configuration.limits
        guard !publications.knows(cid: request.cid) else {
            let waits = publications.queue(request, limit: limits.pendingTracksPerParticipant)
            return refuse(
                waits ? .queued : .limitExceeded, "there is a track of this name, after which this one may come")
        }
        guard publications.pending.count < limits.pendingTracksPerParticipant,
            publications.tracks.count < limits.tracksPerParticipant
        else {
            return refuse(.limitExceeded, "too many tracks")
        }
        let sid = SID.make(SID.trackPrefix(type: request.type, source: request.source))
        let track = PublishedTrack(
            sid: sid, publisher: self, cid: request.cid, info: Self.trackInfo(request, sid: sid, room: room))
        publications.announce(track)
        var published = LiveKitTrackPublishedResponse()
        published.cid = request.cid
        published.track = track.info
        holdPictures(whileOffering: track)
        send(.trackPublished(published))
        publishBoundTracks()
    }

    private static func trackInfo(_ request: LiveKitAddTrackRequest, sid: String, room: Room) -> LiveKitTrackInfo {
        var info = LiveKitTrackInfo()
        info.sid = sid
        info.type = request.type
        info.name = request.name
        info.muted = request.muted
        info.width = request.width
        info.height = request.height
        info.source = request.source
        info.layers = request.layers
        info.simulcast = request.layers.count > 1 || (request.simulcastCodecs.first?.layers.count ?? 0) > 1
        info.encryption = request.encryption
        info.disableRed = request.disableRed
        info.disableDtx = request.disableDtx || request.audioFeatures.contains(.tfNoDtx)
        info.stereo = request.stereo || request.audioFeatures.contains(.tfStereo)
        info.audioFeatures = request.audioFeatures
        info.packetTrailerFeatures = request.packetTrailerFeatures
        info.backupCodecPolicy = request.type == .audio ? .simulcast : request.backupCodecPolicy
        info.version = room.nextVersionStamp()
        info.stream = request.stream
        if info.stream.isEmpty {
            switch request.source {
            case .camera, .microphone: info.stream = "camera"
            case .screenShare, .screenShareAudio: info.stream = "screen"
            case .unknown, .UNRECOGNIZED: info.stream = "unknown"
            }
        }
        if let first = request.simulcastCodecs.first, request.type == .video {
            var codec = LiveKitSimulcastCodecInfo()
            let name = room.publishableVideoCodec(named: first.codec)
            codec.mimeType = name?.mimeType ?? ""
            codec.cid = request.cid
            codec.layers = first.layers.isEmpty ? request.layers : first.layers
            codec.videoLayerMode = first.videoLayerMode
            if first.videoLayerMode == .unused {
                codec.videoLayerMode =
                    name == .vp9 || name == .av1 ? .multipleSpatialLayersPerStream : .oneSpatialLayerPerStream
            }
            info.mimeType = codec.mimeType
            info.codecs = [codec]
            if info.layers.isEmpty { info.layers = codec.layers }
        }
        return info
    }

    /// Publishes every track whose section and announcement are both there.
    func publishBoundTracks() {
        let published = publications.bind()
        guard !published.isEmpty else { return }
        for track in published {
            publisher.attachStreams(of: track)
            track.info.version = room.nextVersionStamp()
            if track.isVideo { track.keyFrameWantedSince = room.plane.now }
        }
        room.tracksPublished(published, by: self)
    }

    /// Answers the client's offer on its publisher connection (the only one with a single connection).
    func publisherOffered(_ description: LiveKitSessionDescription) {
        do {
            let answer = try answerPublisherOffer(description)
            if subscriptions.downTracks.contains(where: { $0.track.publisher.hasUnannouncedChange }) {
                room.announceChanges()
            }
            send(.answer(answer))
        } catch {
            room.plane.refuseDescription(error, of: self)
            // The client's view and ours have parted: only a fresh session helps.
            return room.remove(self, reason: .stateMismatch, action: .reconnect)
        }
        publishBoundTracks()
        releasePictures(at: room.plane.now)
        for track in subscriptions.undecodable { refuseSubscription(to: track, .seCodecUnsupported) }
        // Tracks that found no section in this answer need another round.
        if usesSinglePeerConnection, subscriptions.isWorthRequiring { negotiateDownstream() }
    }

    private func answerPublisherOffer(
        _ description: LiveKitSessionDescription
    ) throws(SDPError) -> LiveKitSessionDescription {
        let session = try SDPParser.parse(description.sdp)
        let offer = try RemoteDescription(offer: session)
        publisher.remoteDescription(offer.transport)

        let named = Set(offer.sections.compactMap(\.attributes.msid?.track))
        var decisions: [String: SectionDecision] = [:]
        for section in offer.sections where section.obstacle == nil {
            guard section.kind == .audio || section.kind == .video else { continue }
            if section.direction == .sendonly || section.direction == .sendrecv {
                decisions[section.mid] = receiveDecision(for: section, named: named)
            }
        }
        if usesSinglePeerConnection {
            for (mid, track) in subscriptions.assignSections(of: offer) {
                decisions[mid] = .send(track)
            }
        }
        // Passive: the client knows when its checks succeed and begins the handshake at once.
        let answerer = Answerer(
            transport: publisher.nextLocalDescription(), connection: usesSinglePeerConnection ? .single : .publisher,
            establishedSetup: .passive)
        let result = answerer.answer(offer, decisions: decisions)
        publisher.begin(role: result.setup == .active ? .client : .server)
        publisher.negotiated(result.sections)
        for track in publications.negotiated(result.sections) { room.unpublish(track) }
        if usesSinglePeerConnection { subscriptions.negotiated(result.sections) }

        var answer = LiveKitSessionDescription()
        answer.type = "answer"
        answer.id = description.id
        answer.sdp = SDPWriter.text(of: result.description)
        if usesSinglePeerConnection { answer.midToTrackID = subscriptions.trackIDsByMid }
        return answer
    }

    /// - Parameter named: the client ids that sections of the offer name.
    private func receiveDecision(for section: RemoteSection, named: Set<String>) -> SectionDecision {
        let isVideo = section.kind == .video
        let track =
            publications.waiting(cid: section.attributes.msid?.track ?? "", isVideo: isVideo)
            ?? publications.track(mid: section.mid) ?? publications.waiting(isVideo: isVideo, notIn: named)
        guard permission.canPublish else { return .inactive }
        let preferred = track.flatMap { CodecName(encodingName: $0.info.mimeType.split(separator: "/").last ?? "") }
        return .receive(
            ReceivePreferences(
                codec: preferred.map { .first($0) } ?? .any, isStereo: track?.info.stereo ?? false,
                allowsDTX: !(track?.info.disableDtx ?? false), enabled: room.plane.configuration.enabledCodecs))
    }

    func muteTrack(_ request: LiveKitMuteTrackRequest) {
        guard let track = publications.track(sid: request.sid) else {
            return respond(.notFound, to: .mute(request), message: "no such track")
        }
        guard request.muted || permission.canPublish else {
            return respond(.notAllowed, to: .mute(request), message: "publishing is not allowed")
        }
        guard track.info.muted != request.muted else { return }
        track.info.muted = request.muted
        track.info.version = room.nextVersionStamp()
        track.updateFlow()
        room.publicationChanged(of: self)
    }

    func updateAudioTrack(_ request: LiveKitUpdateLocalAudioTrack) {
        guard let track = publications.track(sid: request.trackSid) else {
            return respond(.notFound, to: .updateAudioTrack(request), message: "no such track")
        }
        guard request.isWithinLimits else {
            room.plane.environment.signalRefusals.count(.trackTooLarge)
            return respond(.limitExceeded, to: nil, message: "too many features")
        }
        track.info.audioFeatures = request.features
        track.info.stereo = request.features.contains(.tfStereo)
        track.info.disableDtx = request.features.contains(.tfNoDtx)
        room.publicationChanged(of: self)
    }

    func updateVideoTrack(_ request: LiveKitUpdateLocalVideoTrack) {
        guard let track = publications.track(sid: request.trackSid) else {
            return respond(.notFound, to: .updateVideoTrack(request), message: "no such track")
        }
        track.info.width = request.width
        track.info.height = request.height
        room.publicationChanged(of: self)
    }
}
