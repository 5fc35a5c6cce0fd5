// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The streams that the peer sends: which section they belong to, and how long they live.
///
/// A stream is named by three: its transport, the track of its section, and the streams that repair it. Only
/// ``free(_:)`` ends one, and it takes it from all three.
extension PeerTransport {
    /// The client goes on with another codec of the section: its stream begins anew with the next packet.
    func payloadTypeChanged(_ stream: UnsafeMutablePointer<ReceiveStream>, to payloadType: UInt8) {
        guard let section = receiving[stream.pointee.mid],
            section.codecs.contains(where: { $0.payloadType == payloadType }),
            let participant, let track = participant.publications.track(mid: section.mid),
            plane.now >= track.nextCodecChange
        else { return }
        // The packets read before go out first.
        plane.forwardTurn()
        removeStreams(of: track)
        change(track, to: section.codecs.first { $0.payloadType == payloadType }, in: participant.room)
    }

    private func change(_ track: PublishedTrack, to codec: NegotiatedCodec?, in room: Room) {
        track.nextCodecChange = plane.now.advanced(byMilliseconds: Self.codecChangeMilliseconds)
        track.use(codec)
        room.codecChanged(of: track)
    }

    func negotiated(_ sections: [NegotiatedSection]) {
        receiving.removeAll()
        for section in sections where section.takesMedia { receiving[section.mid] = section }
    }

    /// Every subscriber negotiates anew for another codec, so that nobody may have it change with every packet.
    private static let codecChangeMilliseconds: UInt64 = 1_000

    /// Finds out what a new SSRC is: by the SDP's ssrc lines, by mid and rid of the packet, or by a payload type that
    /// only one section uses. Nil when it belongs to nothing that was negotiated.
    func makeStream(
        header: RTPHeader, packet: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<ReceiveStream>? {
        guard let section = section(of: header, packet: packet),
            let codec = section.codecs.first(where: {
                $0.payloadType == header.payloadType || $0.rtxPayloadType == header.payloadType
            })
        else { return nil }
        let isRepair = codec.rtxPayloadType == header.payloadType
        if !isRepair, isOvertaken(codec, in: section) { return nil }
        let known = ended[header.ssrc].flatMap { $0.mid == section.mid ? $0.layer : nil }
        guard let layer = layer(in: section, header: header, packet: packet, isRepair: isRepair) ?? known else {
            return nil
        }
        var repaired: UnsafeMutablePointer<ReceiveStream>?
        if isRepair {
            let mediaSSRC = section.remoteRepairPairs.first { $0.repair == header.ssrc }?.media
            let named = mediaSSRC.flatMap { route.pointee.stream(ssrc: $0) }
            // What is repaired is media of the same section, whatever the description says.
            let isMedia = named.map { $0.pointee.repaired == nil && $0.pointee.mid == section.mid } ?? false
            repaired = isMedia ? named : mediaStream(of: section, layer: layer)
            guard repaired != nil else { return nil }
        }
        let stream = UnsafeMutablePointer<ReceiveStream>.allocate(capacity: 1)
        stream.initialize(
            to: ReceiveStream(
                ssrc: header.ssrc, mid: section.mid, isVideo: section.kind == .video, clockRate: codec.clockRate,
                payloadType: header.payloadType, codec: VideoCodec(codec.name), layer: layer, repaired: repaired,
                extensions: section.extensions, acceptsNACK: codec.usesNACK,
                bufferPackets: section.kind == .video
                    ? plane.configuration.videoBufferPackets : plane.configuration.audioBufferPackets,
                keyFrameIntervalMilliseconds: plane.configuration.keyFrameIntervalMilliseconds(ofLayer: layer),
                at: plane.now))
        return stream
    }

    /// Late packets of the codec that a section has just left do not bring it back.
    private func isOvertaken(_ codec: NegotiatedCodec, in section: NegotiatedSection) -> Bool {
        guard let track = participant?.publications.track(mid: section.mid), let current = track.codec else {
            return false
        }
        return current.payloadType != codec.payloadType && plane.now < track.nextCodecChange
    }

    private func section(of header: RTPHeader, packet: UnsafeRawBufferPointer) -> NegotiatedSection? {
        if let named = receiving.values.first(where: { $0.remoteSSRCs.contains(header.ssrc) }) { return named }
        // Ids are the same in every section of a bundle.
        let id = receiving.values.first { $0.extensions.mid != 0 }?.extensions.mid ?? 0
        if id != 0, let range = HeaderExtensions(of: packet, header: header).range(of: id) {
            return receiving[String(decoding: packet[range], as: UTF8.self)]
        }
        // A section that names its streams has named this one above.
        if let known = ended[header.ssrc].flatMap({ receiving[$0.mid] }), known.remoteSSRCs.isEmpty { return known }
        let candidates = receiving.values.filter { section in
            section.codecs.contains {
                $0.payloadType == header.payloadType || $0.rtxPayloadType == header.payloadType
            }
        }
        return candidates.count == 1 ? candidates.first : nil
    }

    private func layer(
        in section: NegotiatedSection, header: RTPHeader, packet: UnsafeRawBufferPointer, isRepair: Bool
    ) -> Int8? {
        let identifiers = SimulcastLayers.ordered(section.restrictionIdentifiers)
        guard identifiers.count > 1 else { return 0 }
        let id = isRepair ? section.extensions.repairedRTPStreamID : section.extensions.rtpStreamID
        guard id != 0, let range = HeaderExtensions(of: packet, header: header).range(of: id) else { return nil }
        let rid = String(decoding: packet[range], as: UTF8.self)
        return identifiers.firstIndex(of: rid).map { Int8(clamping: $0) }
    }

    private func mediaStream(of section: NegotiatedSection, layer: Int8) -> UnsafeMutablePointer<ReceiveStream>? {
        var found: UnsafeMutablePointer<ReceiveStream>?
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            guard stream.pointee.mid == section.mid, stream.pointee.layer == layer, stream.pointee.repaired == nil
            else { continue }
            // Of those that had this place after each other, the track has one.
            if stream.pointee.route != nil { return stream }
            found = found ?? stream
        }
        return found
    }

    /// Keeps an authenticated stream, for which there is room.
    func adopt(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        guard stream.pointee.repaired == nil, let participant,
            let track = participant.publications.track(mid: stream.pointee.mid)
        else { return route.pointee.add(stream) }
        // It may begin with another codec than the one that was negotiated first, or that was there last.
        if track.codec?.payloadType != stream.pointee.payloadType {
            // No layer stays behind in the other one.
            removeStreams(of: track)
            change(track, to: codec(of: stream), in: participant.room)
        }
        route.pointee.add(stream)
        track.attach(stream)
    }

    private func codec(of stream: UnsafeMutablePointer<ReceiveStream>) -> NegotiatedCodec? {
        receiving[stream.pointee.mid]?.codecs.first { $0.payloadType == stream.pointee.payloadType }
    }

    /// Connects streams that came before their track was announced, which nobody receives yet.
    func attachStreams(of track: PublishedTrack) {
        guard let mid = track.mid else { return }
        let streams = (0..<route.pointee.streamCount).map { route.pointee.stream(at: $0) }.filter {
            $0.pointee.mid == mid && $0.pointee.repaired == nil && $0.pointee.isVideo == track.isVideo
        }
        guard let last = streams.last else { return }
        // They may have another codec than the one that was negotiated first.
        if let codec = codec(of: last) { track.use(codec) }
        for stream in streams where stream.pointee.payloadType == last.pointee.payloadType { track.attach(stream) }
    }

    /// A packet came of a stream that no track has. A client may go back to an SSRC whose place another one took, once
    /// that is silent; a straggler does not bring it back.
    func receivedDetached(_ stream: UnsafeMutablePointer<ReceiveStream>) {
        guard let track = participant?.publications.track(mid: stream.pointee.mid),
            track.isVideo == stream.pointee.isVideo, track.codec?.payloadType == stream.pointee.payloadType
        else { return }
        if let current = track.layers[stream.pointee.layer],
            plane.now.milliseconds(since: current.pointee.lastPacketAt) <= Self.replacedStreamMilliseconds
        {
            return
        }
        // The packets read before go out first.
        plane.forwardTurn()
        stream.pointee.lastPacketAt = plane.now
        track.attach(stream)
    }

    /// Without a packet for so long, a stream may lose its place to the one that had it before.
    private static let replacedStreamMilliseconds: UInt64 = 500

    /// Frees streams that belong to no track and have been silent, to make room for new ones.
    func removeStaleStreams() {
        let now = plane.now
        var stale: Set<UnsafeMutablePointer<ReceiveStream>> = []
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            let isSilent = now.milliseconds(since: stream.pointee.lastPacketAt) > Self.staleStreamMilliseconds
            if stream.pointee.route == nil, stream.pointee.repaired == nil, isSilent { stale.insert(stream) }
        }
        free(stale)
    }

    private static let staleStreamMilliseconds: UInt64 = 5_000

    /// Frees the streams of a track that ends, or that goes on with another codec.
    func removeStreams(of track: PublishedTrack) {
        var doomed = Set(track.layers.values)
        // Those as well that were replaced in its section.
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            if stream.pointee.mid == track.mid, stream.pointee.repaired == nil { doomed.insert(stream) }
        }
        track.detachStreams()
        free(doomed)
    }

    /// Frees media streams and those that repair them; no track has them afterwards.
    private func free(_ doomed: Set<UnsafeMutablePointer<ReceiveStream>>) {
        guard !doomed.isEmpty else { return }
        for track in participant?.publications.tracks ?? [] { track.detach(doomed) }
        route.pointee.removeStreams { stream in
            guard doomed.contains(stream) || stream.pointee.repaired.map(doomed.contains) ?? false else { return false }
            ended.remember(stream)
            return true
        }
    }
}

/// The order of simulcast layers, lowest first.
enum SimulcastLayers {
    /// Clients name layers `q h f` or `2 1 0`, and list them in either order; other names count as they are listed.
    static func ordered(_ identifiers: [String]) -> [String] {
        let rank = ["q": 0, "h": 1, "f": 2, "2": 0, "1": 1, "0": 2]
        guard identifiers.allSatisfy({ rank[$0] != nil }) else { return identifiers }
        return identifiers.sorted { rank[$0, default: 0] < rank[$1, default: 0] }
    }
}
