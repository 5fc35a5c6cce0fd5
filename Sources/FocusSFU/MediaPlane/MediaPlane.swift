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
    /// Datagrams after which the loop looks at its other work before more are read.
    static let readLimit = turnsPerReadiness * batchCount

    let environment: FocusEnvironment
    let socket: Int32
    let port: UInt16
    private let forwarder: Forwarder
    let candidates: [String]
    let wakeForData: @Sendable (SCTPAssociationID) -> Void

    /// The time of the current turn; one clock read serves a batch.
    private(set) var now = MonotonicClock.now()
    /// Transports that have not come up yet.
    var pendingHandshakes = 0
    /// Rooms whose participants have changed since the last ``announceChanges()``.
    var roomsWithChanges: [Room] = []
    var stunResponse = ByteWriter(reservingCapacity: 256)
    private var drops = DropCounters()
    private(set) var packetsReceived: UInt64 = 0
    private var overload = Overload()
    var offers = OfferAllowance()
    private var nextLane: UInt8 = 0

    private let ingress: UnsafeMutablePointer<CDatagramIO_batch>
    private let turn: UnsafeMutablePointer<Turn>
    /// Large turns of ours that other threads may help with, and others' that this one may help with.
    let shared: SharedTurn
    private let neighbours: Neighbours
    /// For others' turns: their datagrams leave through their sockets.
    private let helper: Forwarder?

    var transports: TransportTable
    var associations: [SCTPAssociationID: Unmanaged<PeerTransport>] = [:]

    /// - Parameter wakeForData: called from any thread when an association has output; has ``drainData(of:)`` called.
    init(
        environment: FocusEnvironment, workerIndex: Int, neighbours: Neighbours,
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
        guard let forwarder = Forwarder(socket: socket),
            let ingress = CDatagramIO_batch_create(UInt32(Self.batchCount), UInt32(Self.datagramCapacity))
        else { throw SocketError(call: "allocate", errno: ENOMEM) }
        self.forwarder = forwarder
        self.ingress = ingress
        self.neighbours = neighbours
        helper = configuration.workerCount > 1 ? Forwarder(socket: socket) : nil
        turn = .allocate(capacity: 1)
        turn.initialize(to: Turn())
        shared = SharedTurn(turn: turn, socket: socket)
        transports = TransportTable(seed: Random.uint64())
        candidates = LocalAddresses.candidates(for: configuration, bind: bind, port: port)
    }

    deinit {
        close(socket)
        CDatagramIO_batch_destroy(ingress)
        turn.pointee.release()
        turn.deallocate()
    }

    var configuration: FocusConfiguration { environment.configuration }
    var dtlsContext: DTLSContext { environment.dtlsContext }

    var egress: EgressBatch { forwarder.egress }
    var packetsForwarded: UInt64 { forwarder.packetsForwarded + (helper?.packetsForwarded ?? 0) }
    var datagramsSent: UInt64 { forwarder.egress.datagramsSent + (helper?.egress.datagramsSent ?? 0) }
    var messagesSent: UInt64 { forwarder.egress.messagesSent + (helper?.egress.messagesSent ?? 0) }
    var dropCounters: DropCounters { drops + forwarder.drops + (helper?.drops ?? DropCounters()) }

    /// More comes than can be forwarded.
    var isShedding: Bool { overload.isShedding }

    // MARK: Bookkeeping

    func count(_ reason: DropReason) {
        drops.count(reason)
    }

    /// Reads the clock once for what follows.
    func updateTime() {
        now = MonotonicClock.now()
    }

    /// Transports are spread evenly over the lanes of a ``SharedTurn``.
    func takeLane() -> UInt8 {
        defer { nextLane = (nextLane + 1) % SharedTurn.laneCount }
        return nextLane
    }

    /// Transports without SRTP keys are handshakes under way; their number is bounded.
    var hasRoomForHandshake: Bool {
        pendingHandshakes < configuration.limits.pendingHandshakes
    }

    /// Before the worker sleeps: everybody hears what has happened.
    func announceChanges() {
        while let room = roomsWithChanges.popLast() { room.announceChanges() }
    }

    // MARK: The packet path

    /// Reads and forwards until the socket is empty, or long enough; returns how many datagrams it read.
    func receive() -> Int {
        var count = 0
        for _ in 0..<Self.turnsPerReadiness {
            let received = CDatagramIO_receive(socket, ingress)
            guard received > 0 else { break }
            now = MonotonicClock.now()
            count += Int(received)
            if received == Self.batchCount || overload.isShedding {
                overload.note(backlogPercent: CDatagramIO_receive_backlog(socket))
            }
            for index in 0..<Int(received) { dispatch(index) }
            forwardTurn()
            if received < Self.batchCount { break }
        }
        packetsReceived &+= UInt64(count)
        egress.flush()
        return count
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
            guard let owner = transports.owner(of: address) else { return drops.count(.unknownPeer) }
            let route = owner._withUnsafeGuaranteedRef { $0.route }
            // RFC 5761 §4: packet types 192 to 223 are RTCP.
            let second = base.load(fromByteOffset: 1, as: UInt8.self)
            if (192...223).contains(second) {
                receiveRTCP(base, length: length, route: route)
            } else {
                receiveRTP(base, length: length, route: route)
            }
        case 20...63:
            guard let owner = transports.owner(of: address) else { return drops.count(.unknownPeer) }
            // What follows may end tracks: the packets read before go out first.
            forwardTurn()
            conclude(owner.takeUnretainedValue().receiveDTLS(UnsafeRawBufferPointer(start: base, count: length)))
        case 0...3:
            let bytes = UnsafeRawBufferPointer(start: base, count: length)
            guard let fragment = ICELiteAgent.localUsernameFragment(of: bytes) else {
                return drops.count(.stunMalformed)
            }
            guard let owner = transports.owner(ofUsernameFragment: fragment) else {
                return drops.count(.stunUnknownUsername)
            }
            let transport = owner.takeUnretainedValue()
            // Before the packets read so far are sent on: a flood must not tear every turn apart.
            guard !transport.ice.turnsAway(address, at: now) else { return drops.count(.stunTooManyFailures) }
            forwardTurn()
            let local = NetworkAddress(high: datagram.localHigh, low: datagram.localLow, port: 0)
            conclude(transport.receiveSTUN(bytes, from: address, to: local))
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
        var state = transport.ended[header.ssrc]?.srtp ?? SRTPReceiveStreamState()
        switch receiver.unprotect(packet: base, length: length, state: &state) {
        case .refused(let reason): drops.count(reason)
        case .accepted(let plainLength):
            if !route.pointee.hasRoomForStream { transport.removeStaleStreams() }
            guard route.pointee.hasRoomForStream else { return drops.count(.rtpTooManyStreams) }
            // Headers and their extensions are in the clear; only they say what it is.
            guard let stream = transport.makeStream(header: header, packet: packet) else {
                return drops.count(.rtpUnknownStream)
            }
            stream.pointee.srtp = state
            // It may end the source of packets read before, which go out first.
            forwardTurn()
            transport.adopt(stream)
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
            guard media.pointee.nack.recovered(sequence) else { return drops.count(.rtpDuplicate) }
        } else {
            guard header.payloadType == stream.pointee.payloadType else {
                return changePayloadType(header, stream, route)
            }
            if stream.pointee.nack.received(sequence, at: now) == .stale { return drops.count(.rtpDuplicate) }
            if stream.pointee.extensions.audioLevel != 0, !stream.pointee.isVideo {
                noteAudioLevel(packet, extensions: extensions, stream: stream, timestamp: header.timestamp)
            }
        }
        if media.pointee.route == nil, media == stream {
            route.pointee.owner.takeUnretainedValue().receivedDetached(stream)
        }
        guard let track = media.pointee.route else {
            // It may come back after half the numbers.
            _ = media.pointee.unwrapper.unwrap(sequence)
            return drops.count(.rtpUnknownStream)
        }
        guard turn.pointee.hasRoom else { return }
        media.pointee.lastPacketAt = now
        media.pointee.packetCount &+= 1
        media.pointee.octetCount &+= UInt64(payload.count)
        let beginsKeyFrame = media.pointee.codec?.isKeyFrame(payload) ?? false
        if beginsKeyFrame { media.pointee.keyFrameTimestamp = header.timestamp }
        let isOfKeyFrame = media.pointee.keyFrameTimestamp == header.timestamp
        // Also of what is shed: after half the numbers the next would be taken for an old one.
        let extended = media.pointee.unwrapper.unwrap(sequence)
        // When the beginning comes late, who waits for it has not been given the rest, and can do nothing with it.
        let isKeyFrame = beginsKeyFrame && extended == media.pointee.unwrapper.newest
        if media.pointee.isVideo, let reason = overload.refusal(isKeyFrame: isOfKeyFrame) { return drops.count(reason) }
        if isKeyFrame { media.pointee.keyFrameThrottle.keyFrameReceived() }
        var descriptor = UnsafeRawBufferPointer(start: nil, count: 0)
        if media.pointee.extensions.dependencyDescriptor != 0,
            let range = extensions.range(of: media.pointee.extensions.dependencyDescriptor)
        {
            descriptor = UnsafeRawBufferPointer(rebasing: packet[range])
        }
        if media.pointee.repaired == nil, !payload.isEmpty {
            let isNew = media.pointee.cache.store(
                .init(
                    extended: extended, timestamp: header.timestamp, marker: header.marker, descriptor: descriptor,
                    payload: payload), at: now)
            guard isNew else { return drops.count(.rtpDuplicate) }
        }
        turn.pointee.add(
            ReceivedPacket(
                extended: extended, timestamp: header.timestamp, marker: header.marker, isKeyFrame: isKeyFrame,
                isOfKeyFrame: isOfKeyFrame, layer: media.pointee.layer, descriptor: descriptor, payload: payload),
            of: track)
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

    /// Sends this turn's packets to their subscribers, with the help of other threads when there are many.
    @inline(__always)
    func forwardTurn() {
        guard turn.pointee.packetCount > 0 else { return }
        turn.pointee.time = now
        let count = neighbours.isAlone ? 0 : turn.pointee.datagramCount
        if count < SharedTurn.leastDatagramCount {
            forwarder.forward(turn)
        } else {
            // What this thread has not sent yet must not be overtaken by what another one sends.
            egress.flush()
            shared.offer()
            neighbours.wake(forDatagrams: count)
            while let lane = shared.claim() {
                forwarder.forward(turn, lane: lane)
                shared.finish()
            }
            egress.flush()
            shared.waitUntilFinished()
        }
        turn.pointee.forget()
    }

    /// Helps other workers with their large turns.
    func help() {
        if let helper { neighbours.help(with: helper) }
    }

    private func receiveRTCP(_ base: UnsafeMutableRawPointer, length: Int, route: UnsafeMutablePointer<TransportRoute>)
    {
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
        egress.commit(length: length, to: route.pointee.address, from: route.pointee.local, priority: .control)
    }
}
