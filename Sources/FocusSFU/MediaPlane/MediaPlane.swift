// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc
import Logging

/// The media side of one worker: its socket, the tables that find a datagram's owner, and the packet path.
///
/// Belongs to one ``MediaWorker`` and is touched on its thread alone.
///
///     readable ─▶ recvmmsg ─▶ classify (RFC 7983) ─┬─ STUN ─▶ PeerTransport.receiveSTUN
///                                                   ├─ DTLS ─▶ PeerTransport.receiveDTLS
///                                                   └─ RTP, RTCP ─▶ unprotect ─▶ forward ─▶ EgressBatch ─▶ sendmmsg
final class MediaPlane {
    static let batchCount = 64
    static let datagramCapacity = 2048
    /// Turns of one readiness before control work gets its chance.
    private static let turnsPerReadiness = 8

    let environment: FocusEnvironment
    let socket: Int32
    let port: UInt16
    let egress: EgressBatch
    let candidates: [String]
    private let wakeForData: @Sendable (SCTPAssociationID) -> Void

    /// The time of the current turn; one clock read serves a batch.
    private(set) var now = MonotonicClock.now()
    /// Transports that have not come up yet.
    var pendingHandshakes = 0
    var stunResponse = ByteWriter(reservingCapacity: 256)
    private(set) var drops = DropCounters()
    private(set) var packetsReceived: UInt64 = 0
    private(set) var packetsForwarded: UInt64 = 0

    private let ingress: UnsafeMutablePointer<CDatagramIO_batch>
    /// Media of this turn in the clear.
    let turn: UnsafeMutablePointer<ReceivedPacket>
    private(set) var turnCount = 0
    private let touched: UnsafeMutablePointer<UnsafeMutablePointer<TrackRoute>>
    private var touchedCount = 0

    private var addresses: AddressTable<Unmanaged<PeerTransport>>
    private var fragments: [[UInt8]: Unmanaged<PeerTransport>] = [:]
    private var addressesOf: [ObjectIdentifier: Set<NetworkAddress>] = [:]
    private var fragmentsOf: [ObjectIdentifier: Set<[UInt8]>] = [:]
    private var associations: [SCTPAssociationID: Unmanaged<PeerTransport>] = [:]
    private var lastDataTimers = MonotonicClock.now()

    /// - Parameter wakeForData: called from any thread when an association has output; has ``drainData(of:)`` called.
    init(
        environment: FocusEnvironment, workerIndex: Int,
        wakeForData: @escaping @Sendable (SCTPAssociationID) -> Void
    ) throws {
        let configuration = environment.configuration
        self.environment = environment
        self.wakeForData = wakeForData
        let wanted = configuration.mediaPort == 0 ? 0 : UInt16(clamping: configuration.mediaPort + workerIndex)
        guard let bind = NetworkAddress(configuration.mediaBindAddress, port: wanted) else {
            throw SocketError(call: "bind \(configuration.mediaBindAddress)", errno: EINVAL)
        }
        var port: UInt16 = 0
        let socket = CDatagramIO_open(bind.high, bind.low, wanted, 8 << 20, &port)
        guard socket >= 0 else { throw SocketError(call: "bind UDP \(bind)", errno: -socket) }
        self.socket = socket
        self.port = port
        guard let egress = EgressBatch(socket: socket),
            let ingress = CDatagramIO_batch_create(UInt32(Self.batchCount), UInt32(Self.datagramCapacity))
        else { throw SocketError(call: "allocate", errno: ENOMEM) }
        self.egress = egress
        self.ingress = ingress
        turn = .allocate(capacity: Self.batchCount)
        touched = .allocate(capacity: Self.batchCount)
        addresses = AddressTable(seed: Random.uint64())
        candidates = LocalAddresses.candidates(for: configuration, bind: bind, port: port)
    }

    deinit {
        close(socket)
        CDatagramIO_batch_destroy(ingress)
        turn.deallocate()
        touched.deallocate()
    }

    var configuration: FocusConfiguration { environment.configuration }
    var dtlsContext: DTLSContext { environment.dtlsContext }

    // MARK: Bookkeeping

    func count(_ reason: DropReason) {
        drops.count(reason)
    }

    /// Reads the clock once for what follows.
    func updateTime() {
        now = MonotonicClock.now()
    }

    func register(_ transport: PeerTransport, usernameFragment: String) {
        let key = Array(usernameFragment.utf8)
        fragments[key] = Unmanaged.passUnretained(transport)
        fragmentsOf[ObjectIdentifier(transport), default: []].insert(key)
    }

    func unregister(usernameFragment: String) {
        let key = Array(usernameFragment.utf8)
        guard let transport = fragments.removeValue(forKey: key) else { return }
        fragmentsOf[ObjectIdentifier(transport.takeUnretainedValue())]?.remove(key)
    }

    func add(_ address: NetworkAddress, to transport: PeerTransport) {
        // An address that moves to another participant (a NAT that reuses ports) leaves the first one.
        let previous = addresses[address]?.takeUnretainedValue()
        if previous === transport { return }
        if let previous {
            addressesOf[ObjectIdentifier(previous)]?.remove(address)
        }
        addresses.insert(Unmanaged.passUnretained(transport), at: address)
        addressesOf[ObjectIdentifier(transport), default: []].insert(address)
    }

    func remove(_ address: NetworkAddress, of transport: PeerTransport) {
        guard addresses[address]?.takeUnretainedValue() === transport else { return }
        addresses.remove(address)
        addressesOf[ObjectIdentifier(transport)]?.remove(address)
    }

    func unregister(_ transport: PeerTransport) {
        let id = ObjectIdentifier(transport)
        for address in addressesOf.removeValue(forKey: id) ?? [] { addresses.remove(address) }
        for fragment in fragmentsOf.removeValue(forKey: id) ?? [] { fragments[fragment] = nil }
    }

    /// Transports without SRTP keys are handshakes under way; their number is bounded.
    var hasRoomForHandshake: Bool {
        pendingHandshakes < configuration.limits.pendingHandshakes
    }

    // MARK: Data channels

    func makeAssociation(for transport: PeerTransport) throws(SCTPError) -> SCTPAssociation {
        let association = try SCTPAssociation(onReady: wakeForData)
        associations[association.id] = Unmanaged.passUnretained(transport)
        return association
    }

    func forget(_ association: SCTPAssociationID) {
        associations[association] = nil
    }

    func drainData(of association: SCTPAssociationID) {
        associations[association]?.takeUnretainedValue().drainData()
    }

    /// Lets the SCTP timers of the whole process run; one worker does it for all.
    func advanceDataTimers() {
        let elapsed = now.milliseconds(since: lastDataTimers)
        guard elapsed > 0 else { return }
        lastDataTimers = now
        SCTPStack.process.handleTimers(elapsedMilliseconds: UInt32(clamping: elapsed))
    }

    // MARK: For joins

    func iceServers(for participant: Participant) -> [LiveKitICEServer] {
        environment.iceServers.iceServers(forIdentity: participant.identity, unixSeconds: UnixClock.seconds())
            .map { entry in
                var server = LiveKitICEServer()
                server.urls = entry.urls
                server.username = entry.username
                server.credential = entry.credential
                return server
            }
    }

    /// A token like the participant's own with what has changed since, valid as long as that one, ten minutes at least.
    func refreshedToken(for participant: Participant) -> String? {
        guard let key = configuration.keys[participant.claims.issuer] else { return nil }
        var claims = participant.claims
        let now = UnixClock.seconds()
        claims.notBefore = nil
        claims.issuedAt = now
        claims.expiry = max(claims.expiry ?? now, now + 600)
        claims.identity = participant.identity
        claims.name = participant.name
        claims.metadata = participant.metadata
        claims.attributes = participant.attributes
        claims.apply(participant.permission)
        return try? AccessToken.sign(claims, with: key)
    }

    /// A description of a client that cannot be used; the reason goes to the log, not the text.
    func refuseDescription(_ error: SDPError, of participant: Participant) {
        participant.room.log.info(
            "session description refused",
            metadata: ["participant": .string(participant.sid), "reason": .string(error.description)])
    }

    // MARK: The packet path

    /// Reads and forwards until the socket is empty, or long enough.
    func receive() {
        for _ in 0..<Self.turnsPerReadiness {
            let received = CDatagramIO_receive(socket, ingress)
            guard received > 0 else { break }
            now = MonotonicClock.now()
            packetsReceived &+= UInt64(received)
            for index in 0..<Int(received) { dispatch(index) }
            forwardTurn()
            if received < Self.batchCount { break }
        }
        egress.flush()
    }

    @inline(__always)
    private func dispatch(_ index: Int) {
        let datagram = ingress.pointee.datagrams[index]
        let base = UnsafeMutableRawPointer(ingress.pointee.memory + index * Self.datagramCapacity)
        let length = Int(datagram.length)
        guard length > 1 else { return drops.count(.tooShort) }
        guard datagram.truncated == 0 else { return drops.count(.tooLong) }
        let address = NetworkAddress(high: datagram.high, low: datagram.low, port: datagram.port)
        let first = base.load(as: UInt8.self)
        switch first {
        case 128...191:
            guard let owner = addresses[address] else { return drops.count(.unknownPeer) }
            let route = owner._withUnsafeGuaranteedRef { $0.route }
            // RFC 5761 §4: packet types 192 to 223 are RTCP.
            let second = base.load(fromByteOffset: 1, as: UInt8.self)
            if (192...223).contains(second) {
                receiveRTCP(base, length: length, route: route)
            } else {
                receiveRTP(base, length: length, route: route)
            }
        case 20...63:
            guard let owner = addresses[address] else { return drops.count(.unknownPeer) }
            // What follows may end tracks: the packets read before go out first.
            forwardTurn()
            conclude(owner.takeUnretainedValue().receiveDTLS(UnsafeRawBufferPointer(start: base, count: length)))
        case 0...3:
            let bytes = UnsafeRawBufferPointer(start: base, count: length)
            guard let fragment = ICELiteAgent.localUsernameFragment(of: bytes) else {
                return drops.count(.stunMalformed)
            }
            guard let owner = fragments[Array(fragment)] else { return drops.count(.stunUnknownUsername) }
            forwardTurn()
            let local = NetworkAddress(high: datagram.localHigh, low: datagram.localLow, port: 0)
            conclude(owner.takeUnretainedValue().receiveSTUN(bytes, from: address, to: local))
        default:
            drops.count(.unknownProtocol)
        }
    }

    private func conclude(_ disposition: Disposition) {
        if case .dropped(let reason) = disposition { drops.count(reason) }
    }

    @inline(__always)
    private func receiveRTP(_ base: UnsafeMutableRawPointer, length: Int, route: UnsafeMutablePointer<TransportRoute>) {
        guard let receiver = route.pointee.receiver else { return drops.count(.srtpBeforeKeys) }
        guard length >= 12 else { return drops.count(.tooShort) }
        let ssrc = UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard let stream = route.pointee.stream(ssrc: ssrc) else {
            return receiveFirstPacket(base, length: length, route: route)
        }
        switch receiver.unprotect(packet: base, length: length, state: &stream.pointee.srtp) {
        case .refused(let reason): drops.count(reason)
        case .accepted(let plainLength): accept(base, length: plainLength, stream: stream, route: route)
        }
    }

    /// A new SSRC: nothing is kept before the packet has proved authentic.
    private func receiveFirstPacket(
        _ base: UnsafeMutableRawPointer, length: Int, route: UnsafeMutablePointer<TransportRoute>
    ) {
        let packet = UnsafeRawBufferPointer(start: base, count: length)
        let transport = route.pointee.owner.takeUnretainedValue()
        guard let receiver = route.pointee.receiver, let header = try? RTPHeader(reading: packet) else {
            return drops.count(.rtpMalformed)
        }
        if !route.pointee.hasRoomForStream { transport.removeStaleStreams() }
        guard route.pointee.hasRoomForStream else { return drops.count(.rtpTooManyStreams) }
        guard let stream = transport.makeStream(header: header, packet: packet) else {
            return drops.count(.rtpUnknownStream)
        }
        switch receiver.unprotect(packet: base, length: length, state: &stream.pointee.srtp) {
        case .refused(let reason):
            drops.count(reason)
            stream.deinitialize(count: 1)
            stream.deallocate()
        case .accepted(let plainLength):
            _ = transport.adopt(stream)
            accept(base, length: plainLength, stream: stream, route: route)
        }
    }

    @inline(__always)
    private func accept(
        _ base: UnsafeMutableRawPointer, length: Int, stream: UnsafeMutablePointer<ReceiveStream>,
        route: UnsafeMutablePointer<TransportRoute>
    ) {
        let packet = UnsafeRawBufferPointer(start: base, count: length)
        guard let header = try? RTPHeader(reading: packet) else { return drops.count(.rtpMalformed) }
        route.pointee.lastReceivedAt = now
        let extensions = HeaderExtensions(of: packet, header: header)
        if stream.pointee.extensions.transportSequenceNumber != 0,
            let range = extensions.range(of: stream.pointee.extensions.transportSequenceNumber), range.count == 2
        {
            let sequence = UInt16(packet[range.lowerBound]) << 8 | UInt16(packet[range.lowerBound + 1])
            if route.pointee.feedback.received(sequence, marker: header.marker, at: now) {
                FeedbackWriter.sendTransportFeedback(route, media: stream.pointee.ssrc, plane: self)
            }
        }
        stream.pointee.statistics.received(sequence: header.sequence, timestamp: header.timestamp, at: now)

        var payload = header.payload(of: packet)
        var sequence = header.sequence
        var media = stream
        if let repaired = stream.pointee.repaired {
            // RFC 4588: the payload begins with the number of the packet it repeats. Probes repeat old ones.
            guard payload.count >= RTX.overheadByteCount else { return drops.count(.rtpPaddingOnly) }
            sequence = UInt16(payload[0]) << 8 | UInt16(payload[1])
            payload = UnsafeRawBufferPointer(rebasing: payload[RTX.overheadByteCount...])
            media = repaired
            guard media.pointee.nack.received(sequence, at: now) == .recovered else {
                return drops.count(.rtpDuplicate)
            }
        } else {
            guard header.payloadType == stream.pointee.payloadType else { return changePayloadType(header, stream, route) }
            if stream.pointee.nack.received(sequence, at: now) == .stale { return drops.count(.rtpDuplicate) }
            if stream.pointee.extensions.audioLevel != 0, !stream.pointee.isVideo {
                noteAudioLevel(packet, extensions: extensions, stream: stream, timestamp: header.timestamp)
            }
        }
        guard let track = media.pointee.route, turnCount < Self.batchCount else { return }
        media.pointee.lastPacketAt = now
        media.pointee.packetCount &+= 1
        media.pointee.octetCount &+= UInt64(payload.count)
        let isKeyFrame = media.pointee.codec?.isKeyFrame(payload) ?? false
        if isKeyFrame { media.pointee.keyFrameThrottle.keyFrameReceived() }
        var descriptor = UnsafeRawBufferPointer(start: nil, count: 0)
        if media.pointee.extensions.dependencyDescriptor != 0,
            let range = extensions.range(of: media.pointee.extensions.dependencyDescriptor)
        {
            descriptor = UnsafeRawBufferPointer(rebasing: packet[range])
        }
        let extended = media.pointee.unwrapper.unwrap(sequence)
        if media.pointee.repaired == nil, !payload.isEmpty {
            media.pointee.cache.store(
                .init(
                    sequence: sequence, timestamp: header.timestamp, marker: header.marker, descriptor: descriptor,
                    payload: payload))
        }
        (turn + turnCount).initialize(
            to: ReceivedPacket(
                extended: extended, timestamp: header.timestamp, marker: header.marker, isKeyFrame: isKeyFrame,
                layer: media.pointee.layer, descriptor: descriptor, payload: payload))
        if track.pointee.turnCount == 0 {
            (touched + touchedCount).initialize(to: track)
            touchedCount += 1
        }
        track.pointee.turn[track.pointee.turnCount] = UInt16(turnCount)
        track.pointee.turnCount += 1
        turnCount += 1
    }

    /// A client may go on with another codec of its section: the stream starts over as a new one.
    private func changePayloadType(
        _ header: RTPHeader, _ stream: UnsafeMutablePointer<ReceiveStream>,
        _ route: UnsafeMutablePointer<TransportRoute>
    ) {
        drops.count(.rtpUnknownPayloadType)
        route.pointee.owner.takeUnretainedValue().payloadTypeChanged(stream, to: header.payloadType)
    }

    @inline(__always)
    private func noteAudioLevel(
        _ packet: UnsafeRawBufferPointer, extensions: HeaderExtensions, stream: UnsafeMutablePointer<ReceiveStream>,
        timestamp: UInt32
    ) {
        guard let speakers = stream.pointee.route?.pointee.speakers,
            let number = stream.pointee.route?.pointee.speakerNumber,
            let range = extensions.range(of: stream.pointee.extensions.audioLevel),
            let level = try? AudioLevel(reading: UnsafeRawBufferPointer(rebasing: packet[range]))
        else { return }
        // Opus packets hold 10 to 60 ms; the step of the timestamp says how much, a pause (DTX) counts as one packet.
        let step = timestamp &- stream.pointee.lastPacketTimestamp
        let milliseconds = step > 0 && step <= 5_760 ? UInt64(step) / 48 : 20
        stream.pointee.lastPacketTimestamp = timestamp
        speakers.pointee.levelReceived(level, from: number, milliseconds: milliseconds)
    }

    /// Sends this turn's packets: track by track, subscriber by subscriber, so that what one subscriber gets lies side
    /// by side and can leave as one segmented message.
    @inline(__always)
    private func forwardTurn() {
        for touchedIndex in 0..<touchedCount {
            let track = touched[touchedIndex]
            for subscriberIndex in 0..<track.pointee.subscriberCount {
                let subscriber = track.pointee.subscribers[subscriberIndex]
                guard let sender = subscriber.transport.pointee.sender, subscriber.transport.pointee.canSendMedia else {
                    continue
                }
                for index in 0..<track.pointee.turnCount {
                    forward(turn + Int(track.pointee.turn[index]), to: subscriber, sender: sender)
                }
            }
            track.pointee.turnCount = 0
        }
        touchedCount = 0
        turnCount = 0
    }

    @inline(__always)
    private func forward(
        _ packet: UnsafeMutablePointer<ReceivedPacket>, to subscriber: TrackRoute.Subscriber, sender: SRTPSender
    ) {
        let stream = subscriber.stream
        guard let numbers = stream.pointee.admit(packet.pointee, at: now),
            let payload = packet.pointee.payload.baseAddress
        else { return }
        let slot = egress.nextSlot()
        let headerLength = PacketWriter.writeHeader(
            into: slot, payloadType: stream.pointee.payloadType, marker: packet.pointee.marker,
            sequence: numbers.sequence, timestamp: numbers.timestamp, ssrc: stream.pointee.ssrc,
            extensionID: stream.pointee.descriptorID, extensionValue: packet.pointee.descriptor)
        let length = sender.protect(
            header: slot, headerLength: headerLength, payload: payload, payloadLength: packet.pointee.payload.count,
            into: slot, capacity: EgressBatch.slotCapacity, state: &stream.pointee.srtp)
        guard length > 0 else { return drops.count(.srtpMalformed) }
        egress.commit(
            length: length, to: subscriber.transport.pointee.address, from: subscriber.transport.pointee.local)
        stream.pointee.countSent(payloadLength: packet.pointee.payload.count)
        packetsForwarded &+= 1
    }

    private func receiveRTCP(_ base: UnsafeMutableRawPointer, length: Int, route: UnsafeMutablePointer<TransportRoute>) {
        guard let receiver = route.pointee.receiver else { return drops.count(.srtpBeforeKeys) }
        switch receiver.unprotectRTCP(packet: base, length: length) {
        case .refused(let reason): drops.count(reason)
        case .accepted(let plainLength):
            route.pointee.lastReceivedAt = now
            FeedbackReader.read(
                UnsafeRawBufferPointer(start: base, count: plainLength),
                from: route.pointee.owner.takeUnretainedValue(), plane: self)
        }
    }

    /// Protects and queues one compound RTCP packet.
    func sendRTCP(_ writer: ByteWriter, to route: UnsafeMutablePointer<TransportRoute>) {
        guard let sender = route.pointee.sender, route.pointee.canSendMedia, writer.count > 0,
            writer.count + SRTPProfile.maximumOverhead <= EgressBatch.slotCapacity
        else { return }
        let slot = egress.nextSlot()
        writer.bytes.withUnsafeBytes { source in
            guard let bytes = source.baseAddress else { return }
            slot.copyMemory(from: bytes, byteCount: source.count)
        }
        let length = sender.protectRTCP(packet: slot, length: writer.count, capacity: EgressBatch.slotCapacity)
        guard length > 0 else { return drops.count(.srtpMalformed) }
        egress.commit(length: length, to: route.pointee.address, from: route.pointee.local)
    }
}
