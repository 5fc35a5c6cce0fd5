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
    var receiving: [String: NegotiatedSection] = [:]
    var ended = EndedStreams()
    private(set) var hasDataSection = false
    private var isHandshakePending = false
    private var nextReport: MonotonicTime
    /// Where the next reception report begins.
    var nextReportedStream = 0
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
        // The section may come with a later offer, when DTLS is up.
        if hasDataSection, srtp != nil { openChannels() }
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
                // Told with every datagram it costs the kernel a tenth of the sending, so only where it would choose
                // another.
                let local = localOfPath[address] ?? .unspecified
                route.pointee.local = LocalAddresses.source(towards: address) == local ? .unspecified : local
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
            guard let downTrack = downTrack(ssrc: block.ssrc) else { continue }
            participant?.quality.noteLoss(block.fractionLost, of: downTrack.takePackets(of: block))
            guard block.lastSenderReport != 0 else { continue }
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
}
