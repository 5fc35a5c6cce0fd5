// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import SwiftProtobuf

/// One participant of a load test: signalling on `/rtc/v1`, its connection, what it sends and what it has received.
///
///     connecting ─▶ upgraded, offer sent along ─▶ answered ─▶ ICE, DTLS ─▶ connected ─▶ first media
final class LoadPeer {
    /// One packet in so many is decrypted, which proves that the keys are right and tells when it was sent.
    private static let sampleInterval: UInt64 = 64

    let index: Int
    let role: LoadTestPlan.Role
    let tracks: [GeneratedTrack]
    let connection: LoadConnection
    let signal: SignalClient
    let startedAt: MonotonicTime
    /// Whether somebody was sending when it joined, so that its first packet is worth waiting for.
    let expectsMedia: Bool
    private var description: ClientDescription
    private(set) var firstMediaAt: MonotonicTime?
    private(set) var failure: String?
    private(set) var refusal: (status: Int, body: String)?

    private(set) var streams = StreamTable()
    private var samples: [SRTPReceiveStreamState] = []
    /// Packets of announced streams, each once.
    private(set) var packets: UInt64 = 0
    private(set) var bytes: UInt64 = 0
    private(set) var sampled: UInt64 = 0
    /// Sampled packets that did not decrypt, or were not ours inside.
    private(set) var falseSamples: UInt64 = 0
    /// Packets of streams that no answer announced: retransmissions and probes.
    private(set) var unannounced: UInt64 = 0

    /// Begins to join.
    init(
        index: Int, plan: LoadTestPlan, address: ResolvedAddress, token: String, tracks: [GeneratedTrack],
        expectsMedia: Bool, context: DTLSContext, at now: MonotonicTime
    ) throws(SocketError) {
        self.index = index
        role = plan.roles[index]
        self.tracks = tracks
        self.expectsMedia = expectsMedia
        startedAt = now
        let connection = try LoadConnection(context: context)
        var description = ClientDescription(
            credentials: connection.ice.credentials, fingerprint: context.fingerprint)
        for track in tracks { description.addSending(isVideo: track.isVideo, ssrc: track.ssrc, cid: track.cid) }
        description.addReceiving(isVideo: false, count: plan.expectedTracks(of: index, video: false))
        description.addReceiving(isVideo: true, count: plan.expectedTracks(of: index, video: true))
        // An offer without any section is none; somebody who neither sends nor has anything to receive still joins.
        if tracks.isEmpty, plan.roles.allSatisfy({ !$0.publishes }) {
            description.addReceiving(isVideo: false, count: 1)
        }

        var request = LiveKitJoinRequest()
        request.clientInfo.sdk = .go
        request.clientInfo.protocol = 16
        request.clientInfo.otherSdks = "callbridge load-test"
        request.connectionSettings.autoSubscribe = role.subscribes
        request.addTrackRequests = tracks.map(Self.announcement)
        request.publisherOffer = description.offer()
        var wrapped = LiveKitWrappedJoinRequest()
        wrapped.joinRequest = (try? request.serializedData()) ?? wrapped.joinRequest
        let encoded = Base64URL.encode((try? wrapped.serializedBytes()) ?? [UInt8]())
        signal = try SignalClient(
            to: address, authority: plan.url.authority,
            path: "\(plan.url.prefix)/rtc/v1?join_request=\(encoded)&auto_subscribe=\(role.subscribes ? 1 : 0)",
            token: token)
        self.connection = connection
        self.description = description
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

    var isConnected: Bool { connection.isConnected }
    var hasFailed: Bool { failure != nil }
    /// In, as far as it can be.
    var hasJoined: Bool { isConnected && (firstMediaAt != nil || !expectsMedia) }

    func fail(_ reason: String) {
        if failure == nil { failure = reason }
        for track in tracks { track.pause() }
    }

    /// Tells the server that it goes.
    func leave() {
        guard !hasFailed else { return }
        var request = LiveKitLeaveRequest()
        request.reason = .clientInitiated
        signal.send(.leave(request))
    }

    /// Does what is due.
    func advance(to now: MonotonicTime) {
        connection.advance(to: now)
        if let reason = connection.failure { fail(reason) }
    }

    // MARK: Signalling

    func signalBecameReady(at now: MonotonicTime) {
        signal.advance { event in
            switch event {
            case .opened: break
            case .message(let message): received(message, at: now)
            case .refused(let status, let body):
                refusal = (status, body)
                fail("the server answered \(status) \(body)")
            case .failed(let reason): fail(reason)
            }
        }
    }

    private func received(_ message: LiveKitSignalResponse.OneOf_Message, at now: MonotonicTime) {
        switch message {
        case .answer(let answer): take(answer, at: now)
        case .trickle(let trickle):
            if let line = Self.candidate(in: trickle.candidateInit) {
                connection.add(candidate: line)
                connection.advance(to: now)
            }
        case .mediaSectionsRequirement(let requirement):
            description.addReceiving(isVideo: false, count: Int(requirement.numAudios))
            description.addReceiving(isVideo: true, count: Int(requirement.numVideos))
            signal.send(.offer(description.offer()))
        case .requestResponse(let response) where response.reason != .ok && response.reason != .queued:
            fail("the server refused a request: \(response.reason) \(response.message)")
        case .leave(let leave):
            fail("the server sent the participant away: \(leave.reason)")
        default: break
        }
    }

    private func take(_ answer: LiveKitSessionDescription, at now: MonotonicTime) {
        do throws(SDPError) {
            let remote = try RemoteDescription(answer: SDPParser.parse(answer.sdp))
            for ssrc in ClientDescription.streams(sentBy: remote) { streams.expect(ssrc) }
            while samples.count < streams.tallies.count { samples.append(SRTPReceiveStreamState()) }
            connection.apply(remote.transport, at: now)
        } catch {
            fail("the server's answer cannot be used: \(error)")
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

    // MARK: Media

    /// Reads and counts what has come.
    /// - Parameter onLatency: nanoseconds from sending to arrival of a sampled packet.
    func receive(
        with sink: UnsafeMutablePointer<CDatagramIO_sink>, at now: MonotonicTime,
        sentAt: (GeneratedTrack.Mark) -> UInt64?,
        onLatency: (UInt64) -> Void
    ) {
        connection.receive(with: sink, at: now) { received in
            switch received {
            case .rtp(let packet, let arrival):
                guard let mark = count(packet), let sent = sentAt(mark), arrival >= sent else { return }
                onLatency(arrival - sent)
            case .keyFrameRequest(let ssrc):
                tracks.first { $0.ssrc == ssrc }?.requestKeyFrame()
            }
        }
        if firstMediaAt == nil, packets > 0 { firstMediaAt = now }
        if let reason = connection.failure { fail(reason) }
    }

    /// The mark of the packet when it was among those decrypted.
    @inline(__always)
    private func count(_ packet: UnsafeMutableRawBufferPointer) -> GeneratedTrack.Mark? {
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard let position = streams.position(of: ssrc) else {
            unannounced += 1
            return nil
        }
        let sequence = UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard streams.count(sequence, at: position) == .new else { return nil }
        packets += 1
        bytes += UInt64(packet.count)
        // The first of each stream fixes the rollover counter, whatever the number it begins with.
        guard packets.isMultiple(of: Self.sampleInterval) || streams.tallies[position].received == 1 else { return nil }
        return decrypt(packet, at: position)
    }

    private func decrypt(_ packet: UnsafeMutableRawBufferPointer, at position: Int) -> GeneratedTrack.Mark? {
        guard let receiver = connection.srtp?.receiver, let base = packet.baseAddress else { return nil }
        sampled += 1
        let result = receiver.unprotect(packet: base, length: packet.count, state: &samples[position])
        guard case .accepted(let length) = result,
            let mark = GeneratedTrack.Mark(endOf: UnsafeRawBufferPointer(start: base, count: length))
        else {
            falseSamples += 1
            return nil
        }
        return mark
    }
}
