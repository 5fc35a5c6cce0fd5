// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc

/// The sockets of an ``EchoParticipant`` and what happens on them; lives on one thread.
final class EchoSession {
    /// Milliseconds between two looks at what is due without anything having come.
    private static let step: Int32 = 20
    private static let connectMilliseconds: UInt64 = 20_000
    /// Streams that may bring sound; further ones are not listened to.
    private static let maximumStreams = 256
    private static let headerLength = 12
    private static let capacity = 2_048
    private static let trackID = "echo"

    private let plan: EchoParticipant.Plan
    private let frames: any EchoFrames
    private let connection: LoadConnection
    private let signalling: LiveKitSignalling
    private let sink: UnsafeMutablePointer<CDatagramIO_sink>
    private let packet: UnsafeMutableRawPointer
    private let ssrc = Random.uint32() | 1
    private var line = EchoLine(firstSequence: UInt16.random(in: 0...0x7FFF), firstTimestamp: Random.uint32())
    private var sending = SRTPStreamState()
    private var receiving: [UInt32: SRTPReceiveStreamState] = [:]
    private let startedAt = MonotonicClock.now()
    private var isSignalReady = false
    private(set) var progress = EchoParticipant.Progress()
    /// Why it is over; nil while it is not.
    private(set) var failure: String?

    /// Begins to join; blocks while names are looked up.
    init(_ plan: EchoParticipant.Plan, frames: any EchoFrames) throws {
        self.plan = plan
        self.frames = frames
        let context = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: UnixClock.seconds()))
        connection = try LoadConnection(context: context)
        var description = ClientDescription(connection.endpoint)
        description.addSending(isVideo: false, ssrc: ssrc, cid: Self.trackID)
        description.addReceiving(isVideo: false, count: 1)
        var track = LiveKitAddTrackRequest()
        track.cid = Self.trackID
        track.name = Self.trackID
        track.type = .audio
        track.source = .microphone
        track.disableRed = true
        track.encryption = frames.areSealed ? .gcm : .none
        signalling = try LiveKitSignalling(
            to: plan.url, at: plan.url.resolve(),
            LiveKitSignalling.Introduction(
                token: plan.token, client: "callbridge echo", wish: .sound, tracks: [track],
                description: description))
        guard let sink = CDatagramIO_sink_create(8) else { throw LoadTestFault.system("out of memory") }
        self.sink = sink
        packet = .allocate(byteCount: Self.capacity, alignment: 16)
    }

    deinit {
        CDatagramIO_sink_destroy(sink)
        packet.deallocate()
    }

    /// Tells the focus that it goes.
    func leave() {
        if failure == nil { signalling.leave() }
        connection.abandon()
    }

    /// Waits a moment for something to happen and does what is due.
    func advance() {
        var sockets = [
            pollfd(
                fd: signalling.socket.descriptor, events: Int16(isSignalReady ? POLLIN : POLLIN | POLLOUT), revents: 0),
            pollfd(fd: connection.socket, events: Int16(POLLIN), revents: 0),
        ]
        poll(&sockets, nfds_t(sockets.count), Self.step)
        let now = MonotonicClock.now()
        // Also without news, once it is connected: what found no room in the socket waits to be written.
        if sockets[0].revents != 0 || isSignalReady {
            isSignalReady = true
            readSignals(at: now)
        }
        guard failure == nil else { return connection.abandon() }
        connection.receive(with: sink, at: now) { received in
            if case .rtp(let datagram, _) = received { take(datagram, at: now) }
        }
        connection.advance(to: now)
        if let reason = connection.failure { fail(reason) }
        progress.isConnected = connection.isConnected
        if !progress.isConnected, now.milliseconds(since: startedAt) > Self.connectMilliseconds {
            fail("no connection within \(Self.connectMilliseconds / 1_000) s of joining")
        }
    }

    private func fail(_ reason: String) {
        if failure == nil { failure = reason }
    }

    private func readSignals(at now: MonotonicTime) {
        signalling.advance { signal in
            switch signal {
            case .joined(let trailer): frames.joined(serverTrailer: trailer)
            case .transport(let transport, _):
                connection.apply(transport, at: now)
                for line in transport.candidates { connection.add(address: plan.mediaAddress, asIn: line) }
            case .candidate(let line):
                connection.add(candidate: line)
                connection.add(address: plan.mediaAddress, asIn: line)
            case .streams(let ssrcs):
                hear(ssrcs)
            case .refused(let status, let body): fail("the focus answered \(status) \(body)")
            case .failed(let reason): fail(reason)
            }
        }
    }

    // MARK: Sound

    /// Takes the list of all streams that there are; what is not in it is over.
    private func hear(_ ssrcs: [UInt32]) {
        var next: [UInt32: SRTPReceiveStreamState] = [:]
        for ssrc in ssrcs.prefix(Self.maximumStreams) { next[ssrc] = receiving[ssrc] ?? SRTPReceiveStreamState() }
        receiving = next
        frames.hears(Set(next.keys))
    }

    private func take(_ datagram: UnsafeMutableRawBufferPointer, at now: MonotonicTime) {
        guard let base = datagram.baseAddress, datagram.count >= Self.headerLength, let srtp = connection.srtp else {
            return
        }
        let received = UInt32(bigEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard var state = receiving[received] else { return }
        let result = srtp.receiver.unprotect(packet: base, length: datagram.count, state: &state)
        receiving[received] = state
        guard case .accepted(let length) = result else { return }
        let plain = UnsafeRawBufferPointer(start: base, count: length)
        // Who cannot be understood does not keep the line from others, nor does what cannot be sent take a number.
        guard let header = try? RTPHeader(reading: plain), header.payloadType == ClientDescription.opus,
            let frame = frames.open(Array(header.payload(of: plain)), from: received)
        else { return }
        var next = line
        guard let place = next.take(header, frameByteCount: frame.count, at: now) else { return line = next }
        guard let payload = frames.seal(frame, as: ssrc, at: place.timestamp) else { return }
        line = next
        send(payload, at: place, srtp)
    }

    private func send(_ payload: [UInt8], at place: EchoLine.Place, _ srtp: SRTPSession) {
        guard let path = connection.ice.selectedPath, payload.count <= GeneratedTrack.largestPayload else { return }
        packet.storeBytes(of: 0x80, as: UInt8.self)
        packet.storeBytes(of: (place.marker ? 0x80 : 0) | ClientDescription.opus, toByteOffset: 1, as: UInt8.self)
        packet.storeBytes(of: place.sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        packet.storeBytes(of: place.timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        packet.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)
        payload.withUnsafeBytes { bytes in
            UnsafeMutableRawBufferPointer(start: packet + Self.headerLength, count: bytes.count).copyMemory(from: bytes)
        }
        let length = srtp.sender.protect(
            packet: packet, length: Self.headerLength + payload.count, capacity: Self.capacity, state: &sending)
        if length > 0, connection.send(packet, length: length, to: path) { progress.echoed += 1 }
    }
}
