// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc
import SwiftProtobuf
import Testing

@testable import FocusSFU

/// A client in the shape of the LiveKit SDKs, driven by hand: signal socket, one or two peer connections on loopback.
///
/// It answers offers, adds sections when asked and nothing else by itself; tests read what came and say what to send.
final class SimulatedPeer {
    enum Generation: CaseIterable, CustomTestStringConvertible {
        /// `/rtc/v1`: one connection, the offer travels with the join.
        case single
        /// `/rtc`: one connection for each direction.
        case two

        var testDescription: String { self == .single ? "one connection" : "two connections" }
    }

    private struct Section {
        enum Content {
            case data
            case spare(isVideo: Bool)
            case track(SimulatedTrack)
            case vacant(isVideo: Bool)
        }

        var mid: String
        var content: Content
    }

    let identity: String
    let token: String
    let generation: Generation
    private(set) var socket: SignalSocket
    let publisher: SimulatedConnection
    let subscriber: SimulatedConnection?
    var downstream: SimulatedConnection { subscriber ?? publisher }
    /// How it answers the server's offers: `active` makes it the DTLS client.
    let answerSetup: String

    private(set) var responses: [LiveKitSignalResponse.OneOf_Message] = []
    private(set) var join: LiveKitJoinResponse?
    private(set) var participants: [String: LiveKitParticipantInfo] = [:]
    private(set) var leave: LiveKitLeaveRequest?
    private(set) var refreshToken = ""
    private(set) var tracks: [SimulatedTrack] = []
    /// Media and retransmission SSRC of each received track, by track sid.
    private(set) var incoming: [String: [UInt32]] = [:]
    /// The section each received track is in, by track sid.
    private(set) var incomingMid: [String: String] = [:]
    private(set) var requirements: [LiveKitMediaSectionsRequirement] = []
    private(set) var offersReceived = 0
    private(set) var answersReceived = 0
    /// Keeps the server's offers unanswered until ``answerWaitingOffer(at:)``.
    var postponesAnswers = false
    private var waitingOffer: LiveKitSessionDescription?
    private var sections: [Section] = [Section(mid: "0", content: .data)]
    private var nextOfferID: UInt32 = 1
    /// It makes no room for pictures, however often it is asked.
    var takesNoVideo = false
    /// Lines for the sections of published video.
    var videoAttributes = ""

    init(
        port: Int, identity: String, token: String, generation: Generation, answerSetup: String = "active",
        spareSections: Int = 1, autoSubscribe: Bool = true, clientProtocol: Int32 = 16, extraQuery: String = "",
        offersData: Bool = true, sdk: LiveKitClientInfo.SDK = .js
    ) throws {
        self.identity = identity
        self.token = token
        self.generation = generation
        self.answerSetup = answerSetup
        publisher = try SimulatedConnection()
        subscriber = generation == .two ? try SimulatedConnection() : nil
        publisher.labelsToOpen = [
            DataChannelParameters(label: "_reliable"),
            DataChannelParameters(label: "_lossy", ordered: false, reliability: .maxRetransmits(0)),
        ]
        if !offersData {
            sections.removeAll()
            publisher.removeDataSection()
        }
        let path: String
        switch generation {
        case .two:
            path =
                "/rtc?access_token=\(token)&auto_subscribe=\(autoSubscribe ? 1 : 0)&protocol=\(clientProtocol)&sdk=js"
                + extraQuery
        case .single:
            for _ in 0..<spareSections {
                sections.append(Section(mid: "\(sections.count)", content: .spare(isVideo: false)))
                sections.append(Section(mid: "\(sections.count)", content: .spare(isVideo: true)))
            }
            var request = LiveKitJoinRequest()
            request.clientInfo.sdk = sdk
            request.clientInfo.protocol = clientProtocol
            request.connectionSettings.autoSubscribe = autoSubscribe
            let text = Self.text(sections, videoAttributes: "")
            request.publisherOffer = Self.description("offer", publisher.described(text), id: 1)
            nextOfferID = 2
            path = "/rtc/v1?access_token=\(token)&join_request=\(try Self.wrap(request))" + extraQuery
        }
        socket = try SignalSocket(port: port, path: path)
    }

    /// A join request as `/rtc/v1` carries it, without compression.
    static func wrap(_ request: LiveKitJoinRequest) throws -> String {
        var wrapped = LiveKitWrappedJoinRequest()
        wrapped.joinRequest = try request.serializedData()
        let bytes: [UInt8] = try wrapped.serializedBytes()
        return Base64URL.encode(bytes)
    }

    /// Opens a new socket for the same session.
    func resume(port: Int, token: String) throws {
        let sid = join?.participant.sid ?? ""
        switch generation {
        case .two:
            socket = try SignalSocket(
                port: port, path: "/rtc?access_token=\(token)&reconnect=1&sid=\(sid)&protocol=16&sdk=js")
        case .single:
            var request = LiveKitJoinRequest()
            request.clientInfo.sdk = .js
            request.clientInfo.protocol = 16
            request.connectionSettings.autoSubscribe = true
            request.reconnect = true
            request.participantSid = sid
            socket = try SignalSocket(
                port: port, path: "/rtc/v1?access_token=\(token)&join_request=\(try Self.wrap(request))")
        }
    }

    func send(_ message: LiveKitSignalRequest.OneOf_Message) {
        socket.send(message)
    }

    // MARK: What came, by kind

    var requestResponses: [LiveKitRequestResponse] {
        var found: [LiveKitRequestResponse] = []
        for case .requestResponse(let response) in responses { found.append(response) }
        return found
    }

    var speakerUpdates: [LiveKitSpeakersChanged] {
        var found: [LiveKitSpeakersChanged] = []
        for case .speakersChanged(let update) in responses { found.append(update) }
        return found
    }

    var qualityUpdates: [LiveKitConnectionQualityUpdate] {
        var found: [LiveKitConnectionQualityUpdate] = []
        for case .connectionQuality(let update) in responses { found.append(update) }
        return found
    }

    /// Who was told to speak (or not to), in order: sid and whether active.
    var speeches: [(sid: String, isActive: Bool)] {
        speakerUpdates.flatMap { $0.speakers.map { ($0.sid, $0.active) } }
    }

    var subscriptionResponses: [LiveKitSubscriptionResponse] {
        var found: [LiveKitSubscriptionResponse] = []
        for case .subscriptionResponse(let response) in responses { found.append(response) }
        return found
    }

    var permissionUpdates: [LiveKitSubscriptionPermissionUpdate] {
        var found: [LiveKitSubscriptionPermissionUpdate] = []
        for case .subscriptionPermissionUpdate(let update) in responses { found.append(update) }
        return found
    }

    /// The versions in which a participant was told of, in order.
    func versions(of identity: String) -> [UInt32] {
        var found: [UInt32] = []
        for case .update(let update) in responses {
            found += update.participants.filter { $0.identity == identity }.map(\.version)
        }
        return found
    }

    func forgetResponses() {
        responses.removeAll()
    }

    func participant(_ identity: String) -> LiveKitParticipantInfo? {
        participants.values.first { $0.identity == identity && $0.state != .disconnected }
    }

    func media(of sid: String) -> [SimulatedConnection.Media] {
        guard let ssrc = incoming[sid]?.first else { return [] }
        return downstream.media.filter { $0.ssrc == ssrc }
    }

    // MARK: Publishing

    var publishedTracks: [LiveKitTrackPublishedResponse] {
        var found: [LiveKitTrackPublishedResponse] = []
        for case .trackPublished(let response) in responses { found.append(response) }
        return found
    }

    /// Announces a track and offers its section: a vacated one of its kind, or a new one.
    @discardableResult
    func publish(
        _ cid: String, isVideo: Bool, firstSequence: UInt16 = 1000, announces: Bool = true, offers: Bool = true
    ) -> SimulatedTrack {
        let vacant = sections.firstIndex { section in
            if case .vacant(let video) = section.content { return video == isVideo }
            return false
        }
        let index = vacant ?? sections.count
        if index == sections.count { sections.append(Section(mid: "\(index)", content: .vacant(isVideo: isVideo))) }
        let track = SimulatedTrack(
            cid: cid, isVideo: isVideo, mid: sections[index].mid, connection: publisher, firstSequence: firstSequence)
        sections[index].content = .track(track)
        tracks.append(track)
        if announces { announce(cid, isVideo: isVideo) }
        if offers { offer() }
        return track
    }

    /// AddTrack alone.
    func announce(_ cid: String, isVideo: Bool, change: (inout LiveKitAddTrackRequest) -> Void = { _ in }) {
        var request = LiveKitAddTrackRequest()
        request.cid = cid
        request.type = isVideo ? .video : .audio
        request.source = isVideo ? .camera : .microphone
        change(&request)
        send(.addTrack(request))
    }

    func mute(_ track: SimulatedTrack, _ muted: Bool) {
        var request = LiveKitMuteTrackRequest()
        request.sid = track.sid
        request.muted = muted
        send(.mute(request))
    }

    func subscribe(to sids: [String], _ subscribe: Bool = true) {
        var request = LiveKitUpdateSubscription()
        request.trackSids = sids
        request.subscribe = subscribe
        send(.subscription(request))
    }

    func unpublish(_ track: SimulatedTrack) {
        for index in sections.indices {
            if case .track(let carried) = sections[index].content, carried === track {
                sections[index].content = .vacant(isVideo: track.isVideo)
            }
        }
        tracks.removeAll { $0 === track }
        offer()
    }

    /// What no client does (RFC 9429 §5.2.2).
    func swapLastSections() {
        sections.swapAt(sections.count - 1, sections.count - 2)
    }

    /// Offers the data section that was left out so far.
    func offerData() {
        sections.append(Section(mid: "\(sections.count)", content: .data))
        publisher.addDataSection()
        offer()
    }

    func offer() {
        let text = Self.text(sections, videoAttributes: videoAttributes)
        send(.offer(Self.description("offer", publisher.described(text), id: nextOfferID)))
        nextOfferID += 1
    }

    private static func description(_ type: String, _ sdp: String, id: UInt32) -> LiveKitSessionDescription {
        var description = LiveKitSessionDescription()
        description.type = type
        description.sdp = sdp
        description.id = id
        return description
    }

    private static func text(_ sections: [Section], videoAttributes: String) -> String {
        var text = SDPSamples.session(mids: sections.map(\.mid))
        for section in sections {
            switch section.content {
            case .data: text += SDPSamples.data(mid: section.mid)
            case .spare(false): text += SDPSamples.chromeAudio(mid: section.mid, direction: "recvonly")
            case .spare(true): text += SDPSamples.chromeVideo(mid: section.mid, direction: "recvonly")
            case .vacant(false): text += SDPSamples.chromeAudio(mid: section.mid, direction: "inactive")
            case .vacant(true): text += SDPSamples.chromeVideo(mid: section.mid, direction: "inactive")
            case .track(let track):
                let msid = "a=msid:- \(track.cid)\n" + (track.isVideo ? videoAttributes : "")
                text +=
                    track.isVideo
                    ? SDPSamples.chromeVideo(mid: section.mid, direction: "sendonly", msid: msid)
                    : SDPSamples.chromeAudio(mid: section.mid, direction: "sendonly", msid: msid)
            }
        }
        return text
    }

    // MARK: From the server

    func advance(to now: MonotonicTime) throws {
        for message in socket.receive() { try received(message, at: now) }
        for connection in [publisher, subscriber].compactMap({ $0 }) {
            connection.receive(at: now)
            connection.advance(to: now)
        }
    }

    var descriptors: [Int32] {
        [publisher, subscriber].compactMap { $0 }.flatMap { [$0.socket, $0.wakeup.output] }
            + (socket.isClosed ? [] : [socket.descriptor])
    }

    private func received(_ message: LiveKitSignalResponse.OneOf_Message, at now: MonotonicTime) throws {
        responses.append(message)
        switch message {
        case .join(let response):
            join = response
            for info in response.otherParticipants { participants[info.sid] = info }
        case .update(let update):
            for info in update.participants { participants[info.sid] = info }
        case .trackPublished(let published):
            tracks.first { $0.cid == published.cid }?.sid = published.track.sid
        case .answer(let answer):
            answersReceived += 1
            let text = SessionText(answer.sdp)
            try publisher.apply(
                text, role: text.transportValue("setup") == "passive" ? .client : .server, at: now)
            if generation == .single { note(text) }
        case .offer(let offer):
            offersReceived += 1
            waitingOffer = offer
            if !postponesAnswers { try answerWaitingOffer(at: now) }
        case .mediaSectionsRequirement(let requirement):
            requirements.append(requirement)
            for (count, isVideo) in [(requirement.numAudios, false), (requirement.numVideos, true)]
            where !(isVideo && takesNoVideo) {
                for _ in 0..<count {
                    sections.append(Section(mid: "\(sections.count)", content: .spare(isVideo: isVideo)))
                }
            }
            offer()
        case .leave(let request): leave = request
        case .refreshToken(let token): refreshToken = token
        default: break
        }
    }

    /// Remembers which SSRC carries which track.
    private func note(_ text: SessionText) {
        incoming.removeAll()
        incomingMid.removeAll()
        for section in text.sections where section.direction == "sendonly" {
            guard let track = section.track else { continue }
            incoming[track] = section.ssrcs
            incomingMid[track] = section.mid
        }
    }

    func answerWaitingOffer(at now: MonotonicTime) throws {
        guard let subscriber, let offer = waitingOffer else { return }
        waitingOffer = nil
        let text = SessionText(offer.sdp)
        note(text)
        var answer = text.session.filter { !$0.hasPrefix("a=ice-lite") && !$0.hasPrefix("a=fingerprint") }
        for section in text.sections {
            answer.append(section.media)
            answer.append("c=IN IP4 0.0.0.0")
            let kept = [
                "a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:", "a=rtcp-mux", "a=rtcp-rsize",
                "a=sctp-port:",
            ]
            answer += section.lines.filter { line in kept.contains { line.hasPrefix($0) } }
            if section.kind != "application" {
                answer.append(section.direction == "sendonly" ? "a=recvonly" : "a=inactive")
            }
            answer += [
                "a=ice-ufrag:\(subscriber.credentials.usernameFragment)",
                "a=ice-pwd:\(subscriber.credentials.password)",
                "a=fingerprint:sha-256 \(subscriber.context.fingerprint.hexadecimal)", "a=setup:\(answerSetup)",
            ]
        }
        send(.answer(Self.description("answer", answer.joined(separator: "\r\n") + "\r\n", id: offer.id)))
        try subscriber.apply(text, role: answerSetup == "active" ? .client : .server, at: now)
    }
}
