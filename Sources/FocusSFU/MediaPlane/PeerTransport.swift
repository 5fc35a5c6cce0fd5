// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One peer connection of a participant: ICE, DTLS, SRTP and SCTP over one path, as one unit.
///
/// Owned by its ``Participant``; reached by datagrams through ``MediaPlane``. What each packet needs lies in ``route``.
///
///     offer/answer ─▶ begin(role) ─▶ ICE nominates ─▶ DTLS ─▶ keys: media flows ─▶ SCTP: data flows
package final class PeerTransport {
    let target: LiveKitSignalTarget
    unowned let plane: MediaPlane
    /// Set once by the participant that owns this transport.
    unowned(unsafe) var participant: Participant?
    let route: UnsafeMutablePointer<TransportRoute>

    private(set) var ice: ICELiteAgent
    private(set) var dtls: DTLSSession?
    private(set) var srtp: SRTPSession?
    private(set) var channels: DataChannels?
    /// Round trip as this peer's reports show it; what is assumed until they do.
    private(set) var roundTripMilliseconds = NackGenerator.defaultRoundTripMilliseconds
    private var role: DTLSRole?
    private var remote: RemoteTransport?
    private let sessionID: UInt64
    private var descriptionVersion: UInt64 = 0

    /// Sections in which the client sends, by mid.
    private var receiving: [String: NegotiatedSection] = [:]
    private(set) var hasDataSection = false
    private var isHandshakePending = false
    private var nextReport: MonotonicTime
    /// As many as the ICE agent remembers paths.
    private var localOfPath: [NetworkAddress: NetworkAddress] = [:]
    private var isDrainingData = false
    private var isDrainingDTLS = false

    init(target: LiveKitSignalTarget, plane: MediaPlane) {
        self.target = target
        self.plane = plane
        ice = ICELiteAgent(credentials: ICECredentials(randomBytes: Random.bytes(ICECredentials.randomByteCount)))
        sessionID = Random.uint64() >> 2
        route = .allocate(capacity: 1)
        nextReport = plane.now
        route.initialize(
            to: TransportRoute(
                owner: Unmanaged.passUnretained(self), lane: plane.takeLane(),
                streamCapacity: plane.configuration.limits.streamsPerTransport, at: plane.now))
        plane.transports.add(usernameFragment: ice.credentials.usernameFragment, of: self)
    }

    deinit {
        route.deinitialize(count: 1)
        route.deallocate()
    }

    // MARK: Descriptions

    var hasRemoteDescription: Bool { remote != nil }

    /// Our side for the next description; each call is a new version of it.
    func nextLocalDescription() -> LocalTransport {
        descriptionVersion += 1
        return LocalTransport(
            iceUsernameFragment: ice.credentials.usernameFragment, icePassword: ice.credentials.password,
            fingerprint: plane.dtlsContext.fingerprint.hexadecimal, candidates: plane.candidates, isICELite: true,
            sessionID: sessionID, version: descriptionVersion)
    }

    /// Takes the peer's side of a description. Another fragment than before is an ICE restart: we answer with new
    /// credentials, and DTLS, SRTP and SCTP go on over the new path.
    func remoteDescription(_ description: RemoteTransport) {
        if let remote, target == .publisher, remote.usernameFragment != description.usernameFragment {
            restartICE()
        }
        remote = description
        ice.setRemoteUsernameFragment(description.usernameFragment)
        if description.sctpPort != nil { hasDataSection = true }
    }

    /// New credentials for the next description; the old ones stay valid until a path with the new ones is nominated.
    func restartICE() {
        let credentials = ICECredentials(randomBytes: Random.bytes(ICECredentials.randomByteCount))
        ice.restart(with: credentials)
        plane.transports.add(usernameFragment: credentials.usernameFragment, of: self)
        drainICE()
    }

    /// Both descriptions are there: DTLS may start as soon as ICE has a path.
    func begin(role: DTLSRole) {
        guard dtls == nil, let remote else { return }
        do {
            dtls = try DTLSSession(context: plane.dtlsContext, role: role, expecting: remote.fingerprint)
        } catch {
            plane.count(.dtlsFailed)
            return
        }
        self.role = role
        isHandshakePending = true
        plane.pendingHandshakes += 1
        if ice.selectedPath != nil { startDTLS() }
    }

    private func startDTLS() {
        dtls?.start(at: plane.now)
        drainDTLS()
    }

    // MARK: Datagrams

    private func send(_ bytes: [UInt8]) {
        plane.egress.append(bytes, to: route.pointee.address, from: route.pointee.local)
    }

    /// - Parameter local: our address that the check came to; answers and media on that path leave by it.
    func receiveSTUN(
        _ datagram: UnsafeRawBufferPointer, from address: NetworkAddress, to local: NetworkAddress
    ) -> Disposition {
        let disposition = ice.receive(datagram, from: address, at: plane.now, response: &plane.stunResponse)
        if plane.stunResponse.count > 0 { plane.egress.append(plane.stunResponse.bytes, to: address, from: local) }
        if disposition == .accepted {
            route.pointee.lastReceivedAt = plane.now
            localOfPath[address] = local
            // Another participant's check may have come from this address meanwhile (a NAT that reuses ports, a forged
            // source): whoever checks last owns it.
            plane.transports.add(address, of: self)
        }
        drainICE()
        return disposition
    }

    private func drainICE() {
        while let event = ice.nextEvent() {
            switch event {
            case .pathAdded(let address): plane.transports.add(address, of: self)
            case .pathRemoved(let address):
                localOfPath[address] = nil
                plane.transports.remove(address, of: self)
            case .usernameFragmentRetired(let fragment): plane.transports.remove(usernameFragment: fragment)
            case .pathSelected(let address):
                route.pointee.address = address
                route.pointee.local = localOfPath[address] ?? .unspecified
                startDTLS()
            }
        }
    }

    func receiveDTLS(_ datagram: UnsafeRawBufferPointer) -> Disposition {
        guard let dtls else { return .dropped(.dtlsBeforeICE) }
        let disposition = dtls.receive(datagram, at: plane.now)
        if disposition == .accepted { route.pointee.lastReceivedAt = plane.now }
        drainDTLS()
        return disposition
    }

    /// Does what DTLS wants done, until it wants no more; what is produced meanwhile is taken care of here as well.
    private func drainDTLS() {
        guard !isDrainingDTLS else { return }
        isDrainingDTLS = true
        defer { isDrainingDTLS = false }
        while let output = dtls?.nextOutput() {
            switch output {
            case .transmit(let bytes):
                if ice.selectedPath != nil { send(bytes) }
            case .handshakeDone(let keying):
                connected(keying)
            case .applicationData(let bytes):
                guard let channels else {
                    plane.count(.sctpBeforeHandshake)
                    continue
                }
                bytes.withUnsafeBytes { packet in
                    if case .dropped(let reason) = channels.receive(packet) { plane.count(reason) }
                }
                drainData()
            case .closed:
                participant?.transportClosed(self)
            case .failed(let error):
                plane.count(error == .fingerprintMismatch ? .dtlsFingerprintMismatch : .dtlsFailed)
                participant?.transportFailed(self, error: error)
            }
        }
    }

    private func connected(_ keying: SRTPKeyingMaterial) {
        guard let role else { return }
        do {
            let session = try SRTPSession(keying: keying, localRole: role)
            srtp = session
            route.pointee.sender = session.sender
            route.pointee.receiver = session.receiver
            route.pointee.canSendMedia = true
            handshakeEnded()
        } catch {
            plane.count(.dtlsFailed)
            return
        }
        if hasDataSection { openChannels() }
        participant?.transportConnected(self)
    }

    private func handshakeEnded() {
        guard isHandshakePending else { return }
        isHandshakePending = false
        plane.pendingHandshakes -= 1
    }

    // MARK: SCTP

    private func openChannels() {
        guard channels == nil, let role else { return }
        do {
            let channels = DataChannels(role: role, association: try plane.makeAssociation(for: self))
            self.channels = channels
            channels.connect()
        } catch {
            plane.count(.sctpMalformed)
        }
        drainData()
    }

    /// Sends what SCTP has to send and hands its messages to the participant.
    func drainData() {
        guard let channels, let dtls, !isDrainingData else { return }
        // A message handed on may lead back here; the loop below takes care of what that produces.
        isDrainingData = true
        defer { isDrainingData = false }
        while let output = channels.nextOutput() {
            switch output {
            case .transmit(let packet):
                packet.withUnsafeBytes { if case .dropped(let reason) = dtls.send($0) { plane.count(reason) } }
            case .connected:
                participant?.dataTransportReady(self)
            case .opened(let channel):
                participant?.dataChannelOpened(channel, on: self)
            case .closed(let channel):
                participant?.dataChannelClosed(channel, on: self)
            case .message(let channel, _, let bytes):
                participant?.dataReceived(bytes, channel: channel, on: self)
            case .refused(let reason):
                plane.count(reason)
            case .associationClosed:
                participant?.dataTransportClosed(self)
            }
        }
        drainDTLS()
    }

    // MARK: Time

    func advance(to now: MonotonicTime) {
        if let deadline = dtls?.nextDeadline, now >= deadline {
            dtls?.advance(to: now)
            drainDTLS()
        }
        guard route.pointee.canSendMedia else { return }
        FeedbackWriter.advance(self, at: now, reportsDue: now >= nextReport)
        if now >= nextReport { nextReport = now.advanced(byMilliseconds: FeedbackWriter.reportIntervalMilliseconds) }
    }

    func close() {
        participant = nil
        if let channels {
            channels.closeAssociation()
            drainData()
            plane.forget(channels.associationID)
            self.channels = nil
        }
        dtls?.close()
        while let output = dtls?.nextOutput() {
            if case .transmit(let bytes) = output, ice.selectedPath != nil {
                send(bytes)
            }
        }
        route.pointee.canSendMedia = false
        handshakeEnded()
        plane.transports.removeAll(of: self)
    }

    // MARK: Reports

    /// Takes the reception reports of this peer about what we send it.
    func note(_ blocks: [ReportBlock], at now: MonotonicTime) {
        for block in blocks {
            participant?.quality.noteLoss(block.fractionLost)
            guard let downTrack = downTrack(ssrc: block.ssrc), block.lastSenderReport != 0 else { continue }
            // LSR echoes the publisher's clock, which we passed on as it was.
            guard let source = downTrack.track.layers[downTrack.stream.pointee.currentLayer],
                let ntp = source.pointee.clock.timestamps(at: now)?.ntp,
                let roundTrip = block.roundTrip(at: UInt32(truncatingIfNeeded: ntp >> 16))
            else { continue }
            // 1/65536 s.
            let milliseconds = UInt64(roundTrip) * 1000 / 65_536
            if milliseconds < 10_000 { roundTripMilliseconds = (roundTripMilliseconds * 7 + max(1, milliseconds)) / 8 }
        }
    }

    func downTrack(ssrc: UInt32) -> DownTrack? {
        participant?.subscriptions.downTracks.first {
            $0.stream.pointee.ssrc == ssrc || $0.stream.pointee.rtxSSRC == ssrc && ssrc != 0
        }
    }

    // MARK: Streams

    /// The client goes on with another codec of the section: its stream begins anew with the next packet.
    func payloadTypeChanged(_ stream: UnsafeMutablePointer<ReceiveStream>, to payloadType: UInt8) {
        guard let section = receiving.values.first(where: { $0.index == stream.pointee.sectionIndex }),
            section.codecs.contains(where: { $0.payloadType == payloadType }),
            let participant, let track = participant.publications.track(mid: section.mid)
        else { return }
        removeStreams(of: track)
        track.codec = section.codecs.first { $0.payloadType == payloadType }
        participant.room.codecChanged(of: track)
    }

    func negotiated(_ sections: [NegotiatedSection]) {
        receiving.removeAll()
        for section in sections where section.direction == .recvonly { receiving[section.mid] = section }
    }

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
        guard let layer = layer(in: section, header: header, packet: packet, isRepair: isRepair) else { return nil }
        var repaired: UnsafeMutablePointer<ReceiveStream>?
        if isRepair {
            let mediaSSRC = section.remoteRepairPairs.first { $0.repair == header.ssrc }?.media
            repaired = mediaSSRC.flatMap { route.pointee.stream(ssrc: $0) } ?? mediaStream(of: section, layer: layer)
            guard repaired != nil else { return nil }
        }
        let stream = UnsafeMutablePointer<ReceiveStream>.allocate(capacity: 1)
        stream.initialize(
            to: ReceiveStream(
                ssrc: header.ssrc, isVideo: section.kind == .video, clockRate: codec.clockRate,
                payloadType: header.payloadType, codec: VideoCodec(codec.name), layer: layer, repaired: repaired,
                extensions: section.extensions, acceptsNACK: codec.usesNACK,
                bufferPackets: section.kind == .video
                    ? plane.configuration.videoBufferPackets : plane.configuration.audioBufferPackets,
                keyFrameIntervalMilliseconds: plane.configuration.keyFrameIntervalMilliseconds(ofLayer: layer),
                at: plane.now))
        stream.pointee.sectionIndex = section.index
        return stream
    }

    private func section(of header: RTPHeader, packet: UnsafeRawBufferPointer) -> NegotiatedSection? {
        if let named = receiving.values.first(where: { $0.remoteSSRCs.contains(header.ssrc) }) { return named }
        // Ids are the same in every section of a bundle.
        let id = receiving.values.first { $0.extensions.mid != 0 }?.extensions.mid ?? 0
        if id != 0, let range = HeaderExtensions(of: packet, header: header).range(of: id) {
            return receiving[String(decoding: packet[range], as: UTF8.self)]
        }
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
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            if stream.pointee.sectionIndex == section.index, stream.pointee.layer == layer, stream.pointee.repaired == nil {
                return stream
            }
        }
        return nil
    }

    /// Keeps an authenticated stream; false when there are too many.
    func adopt(_ stream: UnsafeMutablePointer<ReceiveStream>) -> Bool {
        guard route.pointee.hasRoomForStream else { return false }
        route.pointee.add(stream)
        guard let participant, stream.pointee.repaired == nil else { return true }
        let mid = receiving.values.first { $0.index == stream.pointee.sectionIndex }?.mid
        if let track = mid.flatMap({ participant.publications.track(mid: $0) }) { track.attach(stream) }
        return true
    }

    /// Connects streams that came before their track was announced.
    func attachStreams(of track: PublishedTrack) {
        guard let mid = track.mid, let section = receiving[mid] else { return }
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            if stream.pointee.sectionIndex == section.index, stream.pointee.repaired == nil { track.attach(stream) }
        }
    }

    /// Frees streams that belong to no track and have been silent, to make room for new ones.
    func removeStaleStreams() {
        let now = plane.now
        var stale: Set<UnsafeMutablePointer<ReceiveStream>> = []
        for index in 0..<route.pointee.streamCount {
            let stream = route.pointee.stream(at: index)
            let isSilent = now.milliseconds(since: stream.pointee.lastPacketAt) > Self.staleStreamMilliseconds
            if stream.pointee.route == nil, stream.pointee.repaired == nil, isSilent { stale.insert(stream) }
        }
        route.pointee.removeStreams { stale.contains($0) || $0.pointee.repaired.map(stale.contains) ?? false }
    }

    private static let staleStreamMilliseconds: UInt64 = 5_000

    /// Frees the streams of a track that ended.
    func removeStreams(of track: PublishedTrack) {
        let doomed = Set(track.layers.values)
        track.detachStreams()
        route.pointee.removeStreams { stream in
            doomed.contains(stream) || stream.pointee.repaired.map(doomed.contains) ?? false
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
