// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO

/// One participant of a load test: its signalling, its connections, what it sends and what it has received.
///
///     connecting ─▶ upgraded ─▶ descriptions exchanged ─▶ ICE, DTLS ─▶ connected ─▶ first media
final class LoadPeer {
    /// One packet in so many is decrypted, which proves that the keys are right and tells when it was sent.
    private static let sampleInterval: UInt64 = 64

    let index: Int
    let role: LoadTestPlan.Role
    let tracks: [GeneratedTrack]
    /// Carries what is sent. The same as ``receiving`` where one connection serves both ways, or one way is not used.
    let sending: LoadConnection
    let receiving: LoadConnection
    private let signalling: any LoadSignalling
    let startedAt: MonotonicTime
    /// Whether somebody was sending when it joined, so that its first packet is worth waiting for.
    let expectsMedia: Bool
    private(set) var firstMediaAt: MonotonicTime?
    private(set) var failure: String?
    private(set) var refusal: (status: Int, body: String)?
    /// The server has said something on the signal socket.
    private(set) var hasAnswer = false

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
        index: Int, plan: LoadTestPlan, address: ResolvedAddress, tracks: [GeneratedTrack], expectsMedia: Bool,
        context: DTLSContext, at now: MonotonicTime
    ) throws(SocketError) {
        self.index = index
        role = plan.roles[index]
        self.tracks = tracks
        self.expectsMedia = expectsMedia
        startedAt = now
        let sending = try LoadConnection(context: context)
        var receiving = sending
        switch plan.signalling {
        case .liveKit:
            signalling = try LiveKitSignalling(
                index: index, plan: plan, token: plan.token(of: index), address: address, tracks: tracks,
                endpoint: sending.endpoint)
        case .janus(let room):
            if role.publishes, role.subscribes { receiving = try LoadConnection(context: context) }
            signalling = try JanusSignalling(
                index: index, plan: plan, room: room, address: address, tracks: tracks,
                sending: role.publishes ? sending.endpoint : nil,
                receiving: role.subscribes ? receiving.endpoint : nil, at: now)
        }
        self.sending = sending
        self.receiving = receiving
    }

    /// One or two.
    var connections: [LoadConnection] { sending === receiving ? [sending] : [sending, receiving] }
    var signalDescriptor: Int32 { signalling.socket.descriptor }
    var isConnected: Bool { sending.isConnected }
    var hasFailed: Bool { failure != nil }
    /// In, as far as it can be.
    var hasJoined: Bool { isConnected && (firstMediaAt != nil || !expectsMedia) }

    /// Gone from the server's room at once, so that nothing is sent to nobody.
    func fail(_ reason: String) {
        guard failure == nil else { return }
        failure = reason
        for track in tracks { track.pause() }
        signalling.socket.abandon()
        for connection in connections { connection.abandon() }
    }

    /// Tells the server that it goes.
    func leave() {
        if !hasFailed { signalling.leave() }
    }

    /// Does what is due.
    func advance(to now: MonotonicTime) {
        signalling.keepAlive(at: now)
        for connection in connections {
            connection.advance(to: now)
            if let reason = connection.failure { fail(reason) }
        }
    }

    // MARK: Signalling

    func signalBecameReady(at now: MonotonicTime) {
        signalling.advance { signal in
            if case .failed = signal {} else { hasAnswer = true }
            switch signal {
            case .transport(let transport, .sending): sending.apply(transport, at: now)
            case .transport(let transport, .receiving): receiving.apply(transport, at: now)
            case .candidate(let line):
                sending.add(candidate: line)
                sending.advance(to: now)
            case .joined: break
            case .streams(let ssrcs):
                for ssrc in ssrcs { streams.expect(ssrc) }
                while samples.count < streams.tallies.count { samples.append(SRTPReceiveStreamState()) }
            case .refused(let status, let body):
                refusal = (status, body)
                fail("the server answered \(status) \(body)")
            case .failed(let reason): fail(reason)
            }
        }
    }

    // MARK: Media

    /// Reads and counts what has come on one of its connections.
    /// - Parameter onSample: when a sampled packet was sent and when it arrived, nanoseconds.
    func receive(
        on connection: LoadConnection, with sink: UnsafeMutablePointer<CDatagramIO_sink>, at now: MonotonicTime,
        sentAt: (GeneratedTrack.Mark) -> UInt64?,
        onSample: (_ sent: UInt64, _ arrival: UInt64) -> Void
    ) {
        connection.receive(with: sink, at: now) { received in
            switch received {
            case .rtp(let packet, let arrival):
                guard let mark = count(packet), let sent = sentAt(mark), arrival >= sent else { return }
                onSample(sent, arrival)
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
        guard let receiver = receiving.srtp?.receiver, let base = packet.baseAddress else { return nil }
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
