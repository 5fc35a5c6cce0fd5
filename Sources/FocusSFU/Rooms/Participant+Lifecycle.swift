// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// A session's states: joining, joined, active, gone.
///
///     JOINING ─ join response ─▶ JOINED ─ primary connection up ─▶ ACTIVE ─ leave, kick, silence ─▶ DISCONNECTED
///                                   └───── 60 s without connection ──────────▲
extension Participant {
    private static let connectTimeoutMilliseconds: UInt64 = 60_000
    /// A client that was told to resume and does not is gone after this.
    private static let resumeTimeoutMilliseconds: UInt64 = 5_000
    /// How long a closed connection waits for the leave message that explains it.
    private static let leaveGraceMilliseconds: UInt64 = 1_000
    private static let tokenRefreshMilliseconds: UInt64 = 300_000
    /// How long a new track's publisher is reminded that nobody has a key frame yet.
    private static let keyFrameSeedMilliseconds: UInt64 = 30_000

    func transportConnected(_ transport: PeerTransport) {
        for downTrack in subscriptions.downTracks { downTrack.updateFlow() }
        guard transport === primary, state == .joining || state == .joined else { return }
        state = .active
        room.log.info(
            "participant active",
            metadata: [
                "participant": .string(sid),
                "milliseconds": .stringConvertible(room.plane.now.milliseconds(since: joinedAt)),
            ])
        room.participantChanged(self)
        room.subscribeToWanted(self)
    }

    /// The client closed the DTLS connection. Its leave message travels beside it and says why; ``advance(to:)`` waits
    /// a moment for it.
    func transportClosed(_ transport: PeerTransport) {
        guard signal != nil else { return room.remove(self, reason: .connectionTimeout, action: nil) }
        if transportClosedAt == nil { transportClosedAt = room.plane.now }
    }

    func transportFailed(_ transport: PeerTransport, error: DTLSError) {
        room.log.info(
            "media connection failed",
            metadata: [
                "participant": .string(sid), "side": .string("\(transport.target)"), "error": .string("\(error)"),
            ])
        room.remove(self, reason: .mediaFailure, action: .reconnect)
    }

    func dataTransportClosed(_ transport: PeerTransport) {
        data.labels.removeAll()
        data.reliableChannel = nil
        data.lossyChannel = nil
    }

    /// The signal socket is gone without a leave. Media may go on: the client can resume.
    func signalLost(_ lost: any SignalSink) {
        guard signal === lost else { return }
        signal = nil
        signalLostAt = room.plane.now
        if state != .active { room.remove(self, reason: .signalClose, action: nil) }
    }

    func advance(to now: MonotonicTime) {
        publisher.advance(to: now)
        subscriber?.advance(to: now)
        guard advanceNegotiation(at: now) else {
            return room.remove(self, reason: .stateMismatch, action: .reconnect)
        }
        guard checkConnection(at: now) else { return }
        flushData()
        sendSenderReports(at: now)
        remindOfKeyFrames(at: now)
        releasePictures(at: now)
        giveUpAwaitedTracks(at: now)
        if subscriptions.takeVacancy() { room.subscribeToWanted(self) }
        advanceSimulation(to: now)
        if now >= nextTokenRefresh {
            nextTokenRefresh = now.advanced(byMilliseconds: Self.tokenRefreshMilliseconds)
            sendRefreshToken()
        }
    }

    private func sendSenderReports(at now: MonotonicTime) {
        guard now >= nextSenderReports,
            !FeedbackWriter.sendSenderReports(of: subscriptions.downTracks, on: downstream, at: now)
        else { return }
        nextSenderReports = now.advanced(byMilliseconds: FeedbackWriter.senderReportRoundMilliseconds)
    }

    /// False when the session ended.
    private func checkConnection(at now: MonotonicTime) -> Bool {
        if let transportClosedAt, now.milliseconds(since: transportClosedAt) >= Self.leaveGraceMilliseconds {
            room.remove(self, reason: .connectionTimeout, action: .reconnect)
            return false
        }
        guard isActive else {
            guard now.milliseconds(since: joinedAt) >= Self.connectTimeoutMilliseconds else { return true }
            room.remove(self, reason: .joinFailure, action: .disconnect)
            return false
        }
        let silence = now.milliseconds(since: primary.route.pointee.lastReceivedAt)
        if signal == nil {
            // Nobody to tell: gone when media is silent too, or when a resume was asked for and did not come.
            let lostFor = signalLostAt.map { now.milliseconds(since: $0) } ?? 0
            let isSilent = silence >= ICELiteAgent.disconnectedAfterMilliseconds
            guard isSilent && lostFor >= Self.resumeTimeoutMilliseconds else { return true }
            room.remove(self, reason: .connectionTimeout, action: nil)
            return false
        }
        guard silence >= ICELiteAgent.failedAfterMilliseconds else { return true }
        // The socket lives and media does not: the client must find another path.
        leave(reason: .connectionTimeout, action: .resume)
        signalLostAt = now
        return true
    }

    private func remindOfKeyFrames(at now: MonotonicTime) {
        for track in publications.tracks where track.isVideo {
            guard let since = track.keyFrameWantedSince else { continue }
            let waiting = track.downTracks.contains {
                $0.stream.pointee.isFlowing && $0.stream.pointee.currentLayer < 0
            }
            if !waiting || now.milliseconds(since: since) > Self.keyFrameSeedMilliseconds {
                track.keyFrameWantedSince = nil
            } else if !track.info.muted {
                room.plane.requestKeyFrame(of: track, layer: track.bestLayer(upTo: .max, at: now) ?? 0)
            }
        }
    }

    /// Picks for each received track the layer to show: the best live one that the client wants.
    func selectLayers(at now: MonotonicTime) {
        for downTrack in subscriptions.downTracks where downTrack.track.isVideo && downTrack.stream.pointee.isFlowing {
            let track = downTrack.track
            guard !track.info.muted, !track.layers.isEmpty else { continue }
            let layer =
                track.bestLayer(upTo: downTrack.wantedLayer, at: now) ?? downTrack.stream.pointee.targetLayer
            if layer != downTrack.stream.pointee.targetLayer { downTrack.stream.pointee.targetLayer = layer }
            if downTrack.stream.pointee.currentLayer != layer { room.plane.requestKeyFrame(of: track, layer: layer) }
        }
    }

    // MARK: Messages about the session

    func sendJoin() {
        var join = LiveKitJoinResponse()
        join.room = room.info
        join.participant = info
        join.otherParticipants = room.others(of: self)
        join.serverInfo = ServerIdentity.info
        join.serverVersion = ServerIdentity.version
        join.subscriberPrimary = isSubscriberPrimary
        join.pingTimeout = 15
        join.pingInterval = 5
        join.sifTrailer = room.serverInjectedFrameTrailer.asData
        join.enabledPublishCodecs = room.enabledCodecs
        join.fastPublish = permission.canPublish
        join.iceServers = room.plane.iceServers(for: self)
        send(.join(join))
        state = .joined
    }

    /// First message of a resumed session.
    func sendReconnect() {
        var reconnect = LiveKitReconnectResponse()
        reconnect.serverInfo = ServerIdentity.info
        reconnect.iceServers = room.plane.iceServers(for: self)
        reconnect.lastMessageSeq = data.lastSequence
        send(.reconnect(reconnect))
    }

    /// A fresh token for the client's next resume or reconnect, by the key that signed its own.
    func sendRefreshToken() {
        guard let token = room.plane.refreshedToken(for: self) else { return }
        note(tokenSignature: AccessToken.signature(of: token))
        send(.refreshToken(token))
    }

    /// Takes over with a new socket: media goes on, and the client gets the whole picture again.
    func resume(with sink: any SignalSink, claims: TokenClaims, parameters: JoinParameters) {
        note(tokenSignature: claims.signature)
        signal?.close(reason: "resumed elsewhere")
        signal = sink
        primary.route.pointee.lastReceivedAt = room.plane.now
        guard !failsResume() else { return }
        sendReconnect()
        room.tellEverything(to: self)
        signalLostAt = nil
        toldQualities.removeAll()
        sendRefreshToken()
        if let subscriber {
            subscriber.restartICE()
            subscriptions.pendingOffer = nil
            subscriptions.negotiationDueAt = room.plane.now
        } else {
            subscriptions.requirementSentAt = nil
            if subscriptions.missingSections() != nil { subscriptions.negotiationDueAt = room.plane.now }
        }
        for request in parameters.addTrackRequests { addTrack(request) }
        if let offer = parameters.publisherOffer { publisherOffered(offer) }
    }
}

/// How the focus names itself to clients.
enum ServerIdentity {
    /// The protocol level we keep up with; clients compare it with the versions in which features came.
    static let version = "1.13.5"
    static let protocolVersion: Int32 = 17
    static let nodeID = SID.make("ND_")

    static let info: LiveKitServerInfo = {
        var info = LiveKitServerInfo()
        info.edition = .standard
        info.version = version
        info.protocol = protocolVersion
        info.nodeID = nodeID
        info.debugInfo = "callbridge"
        return info
    }()
}
