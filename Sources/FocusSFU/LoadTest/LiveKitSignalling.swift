// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf

/// LiveKit's signalling on `/rtc/v1`: the join request carries the first offer, and one connection serves both ways.
final class LiveKitSignalling: LoadSignalling {
    let socket: SignalSocket
    private var description: ClientDescription

    /// With what a participant comes.
    struct Introduction {
        var token: String
        /// What the server may write into its log about the client.
        var client: String
        /// What it wants of what others publish.
        var wish: Wish
        var tracks: [LiveKitAddTrackRequest]
        /// The first offer.
        var description: ClientDescription
    }

    enum Wish {
        case nothing
        case everything
        /// Tracks are asked for one by one: nobody encodes pictures for those who only hear.
        case sound
    }

    private let wish: Wish
    /// The sound tracks that were asked for, by participant.
    private var askedFor: [String: Set<String>] = [:]

    /// Begins to join.
    init(to url: SignalURL, at address: ResolvedAddress, _ introduction: Introduction) throws(SocketError) {
        var description = introduction.description
        var request = LiveKitJoinRequest()
        request.clientInfo.sdk = .go
        request.clientInfo.protocol = 16
        request.clientInfo.otherSdks = introduction.client
        let subscribes = introduction.wish == .everything
        request.connectionSettings.autoSubscribe = subscribes
        request.addTrackRequests = introduction.tracks
        request.publisherOffer = Self.offer(&description)
        var wrapped = LiveKitWrappedJoinRequest()
        wrapped.joinRequest = (try? request.serializedData()) ?? wrapped.joinRequest
        let encoded = Base64URL.encode((try? wrapped.serializedBytes()) ?? [UInt8]())
        socket = try SignalSocket(
            to: address, authority: url.authority,
            path: "\(url.prefix)/rtc/v1?join_request=\(encoded)&auto_subscribe=\(subscribes ? 1 : 0)",
            header: ("Authorization", "Bearer \(introduction.token)"))
        wish = introduction.wish
        self.description = description
    }

    /// Begins to join as a participant of a load test.
    convenience init(
        index: Int, plan: LoadTestPlan, token: String, address: ResolvedAddress, tracks: [GeneratedTrack],
        endpoint: LoadEndpoint
    ) throws(SocketError) {
        let role = plan.roles[index]
        var description = ClientDescription(endpoint)
        for track in tracks { description.addSending(isVideo: track.isVideo, ssrc: track.ssrc, cid: track.cid) }
        description.addReceiving(isVideo: false, count: plan.expectedTracks(of: index, video: false))
        description.addReceiving(isVideo: true, count: plan.expectedTracks(of: index, video: true))
        // An offer without any section is none; somebody who neither sends nor has anything to receive still joins.
        if tracks.isEmpty, plan.roles.allSatisfy({ !$0.publishes }) {
            description.addReceiving(isVideo: false, count: 1)
        }
        try self.init(
            to: plan.url, at: address,
            Introduction(
                token: token, client: "callbridge load-test", wish: role.subscribes ? .everything : .nothing,
                tracks: tracks.map(Self.announcement), description: description))
    }

    private static func announcement(_ track: GeneratedTrack) -> LiveKitAddTrackRequest {
        var request = LiveKitAddTrackRequest()
        request.cid = track.cid
        request.type = track.isVideo ? .video : .audio
        request.source = track.isVideo ? .camera : .microphone
        request.disableRed = true
        if track.isVideo {
            request.width = 1280
            request.height = 720
        }
        return request
    }

    private static func offer(_ description: inout ClientDescription) -> LiveKitSessionDescription {
        var offer = LiveKitSessionDescription()
        offer.type = "offer"
        offer.sdp = description.offer()
        offer.id = UInt32(truncatingIfNeeded: description.version)
        return offer
    }

    func keepAlive(at now: MonotonicTime) {}

    func leave() {
        var request = LiveKitLeaveRequest()
        request.reason = .clientInitiated
        send(.leave(request))
    }

    private func send(_ message: LiveKitSignalRequest.OneOf_Message) {
        var request = LiveKitSignalRequest()
        request.message = message
        if let bytes: [UInt8] = try? request.serializedBytes() { socket.send(binary: bytes) }
    }

    // MARK: Receiving

    func advance(_ handle: (LoadSignal) -> Void) {
        socket.advance { event in
            switch event {
            case .opened, .text: break
            case .binary(let bytes):
                guard isOfInterest(bytes), let response = try? LiveKitSignalResponse(serializedBytes: bytes),
                    let message = response.message
                else { return }
                received(message, handle)
            case .refused(let status, let body): handle(.refused(status: status, body: body))
            case .failed(let reason): handle(.failed(reason))
            }
        }
    }

    /// The fields of `SignalResponse` that are acted on: join, answer, trickle, leave, request_response,
    /// media_sections_requirement, and update for who asks for tracks. In a room of hundreds all others are many and
    /// large, so they are not even decoded.
    private func isOfInterest(_ message: [UInt8]) -> Bool {
        guard let first = message.first else { return false }
        let tag = first < 0x80 ? UInt16(first) : UInt16(first & 0x7F) | UInt16(message.dropFirst().first ?? 0) << 7
        return [1, 2, 4, 8, 22, 25].contains(tag >> 3) || wish == .sound && tag >> 3 == 5
    }

    private func received(_ message: LiveKitSignalResponse.OneOf_Message, _ handle: (LoadSignal) -> Void) {
        switch message {
        case .join(let join):
            handle(.joined(serverTrailer: Array(join.sifTrailer)))
            askForSound(of: join.otherParticipants)
        case .update(let update): askForSound(of: update.participants)
        case .answer(let answer): take(answer, handle)
        case .trickle(let trickle):
            if let line = Self.candidate(in: trickle.candidateInit) { handle(.candidate(line)) }
        case .mediaSectionsRequirement(let requirement):
            description.addReceiving(isVideo: false, count: Int(requirement.numAudios))
            description.addReceiving(isVideo: true, count: Int(requirement.numVideos))
            send(.offer(Self.offer(&description)))
        case .requestResponse(let response) where response.reason != .ok && response.reason != .queued:
            handle(.failed("the server refused a request: \(response.reason) \(response.message)"))
        case .leave(let leave):
            handle(.failed("the server sent the participant away: \(leave.reason)"))
        default: break
        }
    }

    private func askForSound(of participants: [LiveKitParticipantInfo]) {
        guard wish == .sound else { return }
        var new: [String] = []
        for participant in participants {
            let present = participant.state == .disconnected ? [] : participant.tracks.filter { $0.type == .audio }
            let sids = Set(present.map(\.sid))
            new += sids.subtracting(askedFor[participant.sid] ?? [])
            askedFor[participant.sid] = sids.isEmpty ? nil : sids
        }
        guard !new.isEmpty else { return }
        var request = LiveKitUpdateSubscription()
        request.trackSids = new
        request.subscribe = true
        send(.subscription(request))
    }

    private func take(_ answer: LiveKitSessionDescription, _ handle: (LoadSignal) -> Void) {
        do throws(SDPError) {
            let remote = try RemoteDescription(answer: SDPParser.parse(answer.sdp))
            handle(.streams(ClientDescription.streams(sentBy: remote)))
            handle(.transport(remote.transport, .sending))
        } catch {
            handle(.failed("the server's answer cannot be used: \(error)"))
        }
    }

    /// The value of `"candidate"` in the JSON of a trickle message; candidates hold no character that JSON escapes.
    static func candidate(in json: String) -> String? {
        guard let name = json.firstRange(of: "\"candidate\"") else { return nil }
        let parts = json[name.upperBound...].split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].allSatisfy({ $0 == ":" || $0.isWhitespace }), !parts[1].isEmpty else {
            return nil
        }
        return String(parts[1])
    }
}
