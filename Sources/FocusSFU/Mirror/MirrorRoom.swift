// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging

/// One peer that gets its own media back in the very sections it sends them in. Lives on one worker.
///
/// Inside it is a room that nobody finds, with a participant that is subscribed to its own tracks. So recovery, key
/// frames, reports, and what ends a session without a path are those of every call. Only the negotiation differs: every
/// description is complete, and no signal socket is there to talk over.
final class MirrorRoom {
    private let room: Room
    private let participant: Participant
    /// Our DTLS role, which stays as it was negotiated first.
    private var setup = SetupRole.passive
    /// An offer of ours that waits for its answer, and its tracks by mid.
    private var pending: (description: SessionDescription, tracks: [String: PublishedTrack])?

    /// - Parameter name: for the log.
    init(name: String, plane: MediaPlane, log: Logger) {
        room = Room(
            name: name,
            settings: RoomSettings(emptyTimeoutSeconds: 0, departureTimeoutSeconds: 0, maximumParticipants: 1),
            plane: plane, log: log, unixMilliseconds: UnixClock.milliseconds())
        var parameters = JoinParameters()
        parameters.usesSinglePeerConnection = true
        parameters.autoSubscribe = false
        let transport = PeerTransport(target: .publisher, plane: plane)
        participant = Participant(
            room: room, identity: name, claims: TokenClaims(), parameters: parameters, signal: SilentSignal(),
            publisher: transport, subscriber: nil, unixMilliseconds: UnixClock.milliseconds(), now: plane.now)
        transport.participant = participant
        room.add(participant)
    }

    var state: MirrorState {
        if participant.transportClosedAt != nil { return .closed }
        if room.participants.isEmpty { return .absent }
        return participant.isActive ? .connected : .connecting
    }

    func advance(to now: MonotonicTime) {
        room.advance(to: now)
    }

    func close() {
        room.remove(participant, reason: .roomClosed, action: nil)
    }

    /// Answers the first offer, and every later one: hold, other media, ICE restart.
    func answer(_ sdp: String) throws(MirrorRefusal) -> MirrorDescription {
        let offer: RemoteDescription
        do throws(SDPError) {
            offer = try RemoteDescription(offer: SDPParser.parse(sdp))
        } catch {
            throw .description(error)
        }
        var decisions: [String: SectionDecision] = [:]
        var fresh: [String: PublishedTrack] = [:]
        for section in offer.sections where section.obstacle == nil && section.direction.sends {
            guard let track = track(for: section, &fresh) else { continue }
            decisions[section.mid] = decision(on: section, track)
        }
        let transport = participant.publisher
        guard !decisions.isEmpty || transport.hasRemoteDescription else { throw .nothingToReflect }
        transport.remoteDescription(offer.transport)
        // Passive at first: the peer knows when its checks succeed and begins the handshake at once.
        let answerer = Answerer(
            transport: transport.nextLocalDescription(), connection: .single, establishedSetup: setup)
        let result = answerer.answer(offer, decisions: decisions)
        setup = result.setup
        transport.begin(role: result.setup == .active ? .client : .server)
        transport.negotiated(result.sections)
        for track in participant.publications.negotiated(result.sections) { end(track) }
        publish(fresh, in: result.sections)
        participant.subscriptions.negotiated(result.sections)
        let reflects = result.sections.contains { $0.takesMedia && $0.direction == .sendrecv }
        return MirrorDescription(
            sdp: SDPWriter.text(of: result.description), streamID: reflects ? participant.sid : nil)
    }

    /// An offer of sound and pictures to a peer that is called.
    func offer() throws(MirrorRefusal) -> MirrorDescription {
        var tracks: [String: PublishedTrack] = [:]
        var sections: [OfferedSection] = []
        let enabled = room.plane.configuration.enabledCodecs
        for (mid, codec) in [("0", MediaCodec.opus), ("1", .vp8)] where enabled.contains(codec.name) {
            let track = makeTrack(CodecPreferences.offered(codec))
            guard let outgoing = outgoing(of: track, mid: mid) else { continue }
            tracks[mid] = track
            sections.append(OfferedSection(mid: mid, content: .exchange(outgoing)))
        }
        guard !sections.isEmpty else { throw .nothingToOffer }
        let description = Offerer(transport: participant.publisher.nextLocalDescription()).offer(sections)
        pending = (description, tracks)
        return MirrorDescription(sdp: SDPWriter.text(of: description), streamID: participant.sid)
    }

    /// The peer's answer to our offer.
    func take(answer sdp: String) throws(MirrorRefusal) {
        guard let pending else { throw .nothingOffered }
        self.pending = nil
        let sections: [NegotiatedSection]
        let remote: RemoteTransport
        do throws(SDPError) {
            (sections, remote) = try Offerer.apply(answer: SDPParser.parse(sdp), to: pending.description)
        } catch {
            for track in pending.tracks.values { end(track) }
            throw .description(error)
        }
        // The answer says what the peer is; we are the other.
        setup = remote.setup == .active ? .passive : .active
        participant.publisher.remoteDescription(remote)
        participant.publisher.begin(role: remote.setup == .active ? .server : .client)
        participant.publisher.negotiated(sections)
        publish(pending.tracks, in: sections)
        participant.subscriptions.negotiated(sections)
    }

    /// The track of a section, or a new one; nil when the section holds nothing that we forward, or there are too many.
    private func track(for section: RemoteSection, _ fresh: inout [String: PublishedTrack]) -> PublishedTrack? {
        guard section.kind == .audio || section.kind == .video else { return nil }
        if let track = participant.publications.track(mid: section.mid) { return track }
        let configuration = room.plane.configuration
        let count = participant.publications.tracks.count + fresh.count
        guard count < configuration.limits.tracksPerParticipant,
            let codec = section.codecs.first(where: {
                $0.codec != .red && configuration.enabledCodecs.contains($0.name)
            })
        else { return nil }
        let track = makeTrack(codec)
        fresh[section.mid] = track
        return track
    }

    private func makeTrack(_ codec: NegotiatedCodec) -> PublishedTrack {
        let isVideo = codec.name.kind == .video
        var info = LiveKitTrackInfo()
        info.type = isVideo ? .video : .audio
        info.source = isVideo ? .camera : .microphone
        info.sid = SID.make(SID.trackPrefix(type: info.type, source: info.source))
        let track = PublishedTrack(sid: info.sid, publisher: participant, cid: info.sid, info: info)
        track.codec = codec
        return track
    }

    private func decision(on section: RemoteSection, _ track: PublishedTrack) -> SectionDecision {
        // One codec, whose numbers are the same both ways.
        let preferences = ReceivePreferences(
            codec: track.codec.map { .only($0.name) } ?? .any, enabled: room.plane.configuration.enabledCodecs)
        guard section.direction.receives else {
            // A peer that holds the call sends on and takes nothing. What comes back afterwards is another stream:
            // libwebrtc plays nothing of one that it has seen end.
            release(track)
            return .receive(preferences)
        }
        guard let outgoing = outgoing(of: track, mid: section.mid) else { return .receive(preferences) }
        return .exchange(preferences, outgoing)
    }

    /// How a track comes back.
    private func outgoing(of track: PublishedTrack, mid: String) -> OutgoingTrack? {
        var outgoing = downTrack(of: track, mid: mid).outgoing
        // One stream for sound and pictures, so that the peer plays them together.
        outgoing?.msid.stream = participant.sid
        return outgoing
    }

    /// The way back of a track.
    private func downTrack(of track: PublishedTrack, mid: String) -> DownTrack {
        if let downTrack = track.downTracks.first { return downTrack }
        let downTrack = DownTrack(track: track, subscriber: participant)
        downTrack.mid = mid
        participant.subscriptions.add(downTrack)
        track.add(downTrack)
        return downTrack
    }

    private func release(_ track: PublishedTrack) {
        for downTrack in track.downTracks {
            downTrack.detach()
            participant.subscriptions.remove(downTrack)
        }
    }

    private func publish(_ fresh: [String: PublishedTrack], in sections: [NegotiatedSection]) {
        var published: [PublishedTrack] = []
        for section in sections {
            guard let track = fresh[section.mid] else { continue }
            guard section.takesMedia else {
                end(track)
                continue
            }
            participant.publications.publish(track, in: section)
            participant.publisher.attachStreams(of: track)
            if track.isVideo { track.keyFrameWantedSince = room.plane.now }
            published.append(track)
        }
        room.tracksPublished(published, by: participant)
    }

    private func end(_ track: PublishedTrack) {
        release(track)
        participant.publisher.removeStreams(of: track)
        participant.publications.remove(track)
    }
}

/// There is no signal socket: whatever a participant would be told is said to nobody.
private final class SilentSignal: SignalSink {
    func send(_ response: LiveKitSignalResponse) {}
    func send(_ broadcast: SignalBroadcast) {}
    func close(reason: String) {}
    func abort() {}
}
