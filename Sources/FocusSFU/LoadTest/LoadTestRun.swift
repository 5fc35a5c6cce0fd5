// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc

/// Runs a load test on the calling thread.
///
///     publishers join ─▶ subscribers join ─▶ all streams flow ─▶ pause ─▶ measure ─▶ drain ─▶ report
///
/// One thread, one epoll set. While a participant joins, its sockets wake the loop; from its first media packet on, its
/// media socket is only read every ``readInterval``, so that one system call brings many packets. Arrival times are the
/// kernel's, hence not affected.
package final class LoadTestRun {
    /// Nanoseconds between two reads of a socket with media.
    static let readInterval: UInt64 = 20_000_000
    /// The loop's own step while sockets are read in turn.
    private static let step: UInt64 = 1_000_000
    private static let tick: UInt64 = 20_000_000
    private static let joinLimitMilliseconds: UInt64 = 30_000
    private static let settleLimitMilliseconds: UInt64 = 15_000
    /// Nothing arrives for so long before and after the measured window, so that counts are exact.
    private static let quietMilliseconds: UInt64 = 500
    /// A server that has not delivered by then what it was sent is not waited for any longer.
    private static let quietLimitMilliseconds: UInt64 = 20_000

    /// Which socket of a participant an event is about: the lowest two bits; the others are the participant's number.
    private static let signalTag: UInt64 = 0
    private static let sendingTag: UInt64 = 1
    private static let receivingTag: UInt64 = 2

    private enum Phase: Equatable {
        case joining
        /// Since the last stream began to flow.
        case settling(since: MonotonicTime, missing: Int)
        case pausing(since: MonotonicTime)
        case measuring(since: MonotonicTime)
        case draining(since: MonotonicTime)
        case done
    }

    let plan: LoadTestPlan
    private let onProgress: (LoadTestProgress) -> Void
    private let onSample: (LatencySample) -> Void
    private let address: ResolvedAddress
    private let context: DTLSContext
    private let epoll: Int32
    private let sink: UnsafeMutablePointer<CDatagramIO_sink>

    private(set) var peers: [LoadPeer] = []
    private(set) var tracks: [GeneratedTrack] = []
    /// The participant that sends a track, by the track's number.
    private var owners: [LoadPeer] = []
    private var phase = Phase.joining
    private var joining: [LoadPeer] = []
    private var settled: [LoadPeer] = []
    /// Those whose sockets are read in turn. Who only sends hears little, and must hear of a wanted key frame at once.
    private var readers: [LoadPeer] = []
    private var isSending = true
    let flood: FloodSource?
    private var nextJoinAt = MonotonicTime.zero
    private var cursor = 0
    private var owed: UInt64 = 0
    private var lastRead = MonotonicTime.zero
    private(set) var joinTime = Distribution()
    private(set) var latency = Distribution()
    private(set) var lateArrivals = LateArrivals()
    private(set) var lateness = Distribution()
    private(set) var measurement = LoadTestMeasurement()
    /// What all had received when that last changed, and when it did.
    private var lastArrival = (count: UInt64(0), at: MonotonicTime.zero)
    private var progressMeter: ProgressMeter

    /// Looks up the server's name and makes what all participants share.
    ///
    /// - Parameter onSample: hears of the packets whose latency is part of the report.
    package init(
        _ plan: LoadTestPlan, onSample: @escaping (LatencySample) -> Void = { _ in },
        onProgress: @escaping (LoadTestProgress) -> Void
    ) throws(LoadTestFault) {
        self.plan = plan
        flood = plan.flood.map { FloodSource($0) }
        self.onProgress = onProgress
        self.onSample = onSample
        address = try plan.url.resolve()
        do throws(DTLSError) {
            context = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: UnixClock.seconds()))
        } catch {
            throw .system("no DTLS certificate: \(error)")
        }
        progressMeter = ProgressMeter(serverProcess: plan.serverProcess, at: MonotonicClock.now())
        let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw .system(SocketError(call: "epoll_create1", errno: errno).description) }
        guard let sink = CDatagramIO_sink_create(32) else {
            close(epoll)
            throw .system("out of memory")
        }
        self.epoll = epoll
        self.sink = sink
        raiseDescriptorLimit()
    }

    deinit {
        CDatagramIO_sink_destroy(sink)
        close(epoll)
    }

    /// Two descriptors a participant are soon more than the usual 1024.
    private func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Runs to the end and tells what was measured.
    package func run() throws(LoadTestFault) -> LoadTestReport {
        measurement.serverBefore = try serverUsage()
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        var nextTick = MonotonicClock.now()
        lastRead = nextTick
        while phase != .done {
            let now = MonotonicClock.now()
            sendDue(at: now)
            flood?.sendDue(at: now)
            readInTurn(at: now)
            if now >= nextTick {
                nextTick = MonotonicTime(nanoseconds: now.nanoseconds + Self.tick)
                try advance(to: now)
            }
            let count = wait(until: nextTick, &events)
            let woken = MonotonicClock.now()
            for event in events.prefix(Int(max(0, count))) {
                let peer = peers[Int(event.data.u64 >> 2)]
                switch event.data.u64 & 3 {
                case Self.signalTag: peer.signalBecameReady(at: woken)
                case Self.sendingTag: receive(peer, on: peer.sending, at: woken)
                default: receive(peer, on: peer.receiving, at: woken)
                }
                noteJoined(peer, at: woken)
            }
        }
        for peer in peers { peer.leave() }
        return LoadTestReport(of: self)
    }

    private func wait(until tick: MonotonicTime, _ events: inout [epoll_event]) -> Int32 {
        let now = MonotonicClock.now().nanoseconds
        var due = tick.nanoseconds
        if isSending { for track in tracks where track.nextDue < due { due = track.nextDue } }
        if let flood { due = min(due, flood.nextDue) }
        if !readers.isEmpty {
            due = min(due, now + max(Self.step, Self.readInterval / UInt64(readers.count)))
        }
        return CDatagramIO_wait(epoll, &events, Int32(events.count), due > now ? due - now : 0)
    }

    // MARK: Media

    private func sendDue(at now: MonotonicTime) {
        guard isSending else { return }
        for track in tracks where track.nextDue <= now.nanoseconds {
            let late = track.sendDue(at: now, on: owners[Int(track.number)].sending)
            if late != nil { flood?.record(track) }
            if let late, case .measuring = phase { lateness.add(microseconds: late / 1_000) }
        }
    }

    /// Reads each socket with media once in every interval, a few at a time.
    private func readInTurn(at now: MonotonicTime) {
        let count = UInt64(readers.count)
        let elapsed = now.nanoseconds(since: lastRead)
        lastRead = now
        guard count > 0 else { return }
        owed = min(owed + elapsed * count, Self.readInterval * count)
        while owed >= Self.readInterval {
            owed -= Self.readInterval
            cursor = (cursor + 1) % readers.count
            receive(readers[cursor], on: readers[cursor].receiving, at: now)
        }
    }

    private func receive(_ peer: LoadPeer, on connection: LoadConnection, at now: MonotonicTime) {
        let isMeasuring = if case .measuring = phase { true } else { false }
        peer.receive(
            on: connection, with: sink, at: now,
            sentAt: { [tracks] mark in
                tracks.indices.contains(Int(mark.track)) ? tracks[Int(mark.track)].time(of: mark.packet) : nil
            },
            onSample: { sent, arrival in
                guard isMeasuring else { return }
                latency.add(microseconds: (arrival - sent) / 1_000)
                lateArrivals.add(sent: sent, arrival: arrival)
                onSample(LatencySample(departure: sent / 1_000, delay: (arrival - sent) / 1_000))
            })
    }

    // MARK: Joining

    private func watch(_ descriptor: Int32, _ tag: UInt64, for events: EPOLL_EVENTS...) throws(LoadTestFault) {
        var event = epoll_event()
        event.events = events.reduce(EPOLLET.rawValue) { $0 | $1.rawValue }
        event.data.u64 = tag
        guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            throw .system(SocketError(call: "epoll_ctl", errno: errno).description)
        }
    }

    /// Those that only send join first; the others follow once these are sending.
    private var mayBeginNext: Bool {
        guard peers.count < plan.roles.count, joining.count < plan.joinsAtOnce else { return false }
        return !plan.roles[peers.count].subscribes
            || peers.allSatisfy { $0.role.subscribes || $0.hasFailed || $0.isConnected }
    }

    private func beginJoins(at now: MonotonicTime) throws(LoadTestFault) {
        while mayBeginNext {
            if plan.joinsPerSecond > 0 {
                guard now >= nextJoinAt else { return }
                let step = 1_000_000_000 / UInt64(plan.joinsPerSecond)
                // What the loop's step missed is made up for, a pause is not.
                nextJoinAt = MonotonicTime(
                    nanoseconds: max(nextJoinAt.nanoseconds + step, now.nanoseconds &- Self.tick))
            }
            try beginJoin(at: now)
        }
    }

    private func beginJoin(at now: MonotonicTime) throws(LoadTestFault) {
        let index = peers.count
        let role = plan.roles[index]
        if role.subscribes, measurement.serverBeforeSubscribers == nil {
            measurement.serverBeforeSubscribers = try serverUsage()
        }
        var own: [GeneratedTrack] = []
        for (isVideo, publishes) in [(false, role.publishesAudio), (true, role.publishesVideo)] where publishes {
            own.append(
                GeneratedTrack(
                    number: tracks.count + own.count, isVideo: isVideo, shape: isVideo ? plan.video : plan.audio,
                    pacing: plan.pacing))
        }
        let isAnySending = peers.contains { !$0.tracks.isEmpty && $0.isConnected }
        let peer: LoadPeer
        do throws(SocketError) {
            peer = try LoadPeer(
                index: index, plan: plan, address: address, tracks: own, expectsMedia: role.subscribes && isAnySending,
                context: context, at: now)
        } catch {
            if error.errno == EMFILE || error.errno == ENFILE { throw .system(error.description) }
            throw .unreachable(error.description)
        }
        peers.append(peer)
        joining.append(peer)
        tracks += own
        owners += own.map { _ in peer }
        let tag = UInt64(index) << 2
        try watch(peer.signalDescriptor, tag | Self.signalTag, for: EPOLLIN, EPOLLOUT)
        for (connection, kind) in zip(peer.connections, [Self.sendingTag, Self.receivingTag]) {
            try watch(connection.socket, tag | kind, for: EPOLLIN)
        }
    }

    private func noteJoined(_ peer: LoadPeer, at now: MonotonicTime) {
        guard peer.isConnected, !peer.hasFailed else { return }
        // From the first moment on, so that subscribers have something to wait for.
        if isSending, phase == .joining {
            for track in peer.tracks where track.nextDue == .max { track.resume(at: now, delay: 0) }
        }
        guard peer.hasJoined, let position = joining.firstIndex(where: { $0 === peer }) else { return }
        joining.remove(at: position)
        settled.append(peer)
        if peer.role.subscribes {
            readers.append(peer)
            epoll_ctl(epoll, EPOLL_CTL_DEL, peer.receiving.socket, nil)
        }
        if peer.expectsMedia, let first = peer.firstMediaAt {
            joinTime.add(microseconds: first.nanoseconds(since: peer.startedAt) / 1_000)
        }
    }

    // MARK: Phases

    private func advance(to now: MonotonicTime) throws(LoadTestFault) {
        for peer in peers where !peer.hasFailed { peer.advance(to: now) }
        for peer in joining {
            if now.milliseconds(since: peer.startedAt) > Self.joinLimitMilliseconds {
                peer.fail(
                    peer.isConnected ? "no media within 30 s of joining" : "no media connection within 30 s of joining")
            }
            if peer.hasFailed { try giveUpIfHopeless(peer) }
        }
        joining.removeAll { $0.hasFailed }
        switch phase {
        case .joining:
            try beginJoins(at: now)
            if peers.count == plan.roles.count, joining.isEmpty {
                try requireBothSides()
                phase = .settling(since: now, missing: missingTracks)
            }
        case .settling(let since, let before):
            let missing = missingTracks
            if missing == 0 || now.milliseconds(since: since) > Self.settleLimitMilliseconds {
                stopSending()
                phase = .pausing(since: now)
            } else if missing < before {
                phase = .settling(since: now, missing: missing)
            }
        case .pausing(let since):
            if isQuiet(since: since, at: now) { try beginMeasuring(at: now) }
        case .measuring(let since):
            // What is left is not worth measuring once all are gone.
            if now.milliseconds(since: since) >= UInt64(plan.durationSeconds) * 1_000 || peers.allSatisfy(\.hasFailed) {
                stopSending()
                flood?.end()
                measurement.end(server: lastServerUsage(), at: now)
                phase = .draining(since: now)
            }
        case .draining(let since):
            if isQuiet(since: since, at: now) { phase = .done }
        case .done: break
        }
        report(at: now)
    }

    private func stopSending() {
        for track in tracks { track.pause() }
        isSending = false
    }

    /// Whether all that was sent has arrived or never will. Only the time in which something still came counts as work.
    private func isQuiet(since start: MonotonicTime, at now: MonotonicTime) -> Bool {
        let count = peers.reduce(0) { $0 + $1.packets }
        if count != lastArrival.count {
            lastArrival = (count, now)
            if case .draining = phase { measurement.drained(server: lastServerUsage()) }
        }
        return now.milliseconds(since: max(start, lastArrival.at)) > Self.quietMilliseconds
            || now.milliseconds(since: start) > Self.quietLimitMilliseconds
    }

    private func beginMeasuring(at now: MonotonicTime) throws(LoadTestFault) {
        measurement.begin(of: self, server: try serverUsage(), at: now)
        isSending = true
        // Spread over a frame's time, so that publishers do not march in step.
        let spread = 1_000_000_000 / PacketSchedule.videoFramesPerSecond
        for (index, track) in tracks.enumerated() where !owners[index].hasFailed {
            track.resume(at: now, delay: spread * UInt64(index) / UInt64(tracks.count))
        }
        phase = .measuring(since: now)
        try flood?.begin(owners: owners, context: context, at: now)
    }

    /// A wrong key, or an address where nobody is, is not worth asking about hundreds of times.
    private func giveUpIfHopeless(_ peer: LoadPeer) throws(LoadTestFault) {
        guard settled.isEmpty else { return }
        if let refusal = peer.refusal, (400..<500).contains(refusal.status) {
            throw .refused(status: refusal.status, body: refusal.body)
        }
        guard peers.allSatisfy(\.hasFailed) else { return }
        let reason = peer.failure ?? ""
        throw peers.contains(where: \.hasAnswer) ? .nobodyJoined(reason) : .unreachable(reason)
    }

    private func requireBothSides() throws(LoadTestFault) {
        func fails(_ isMeant: (LoadTestPlan.Role) -> Bool) -> Bool {
            plan.roles.contains(where: isMeant) && !settled.contains { isMeant($0.role) }
        }
        guard fails(\.publishes) || fails(\.subscribes) else { return }
        throw .nobodyJoined(peers.lazy.compactMap(\.failure).first ?? "")
    }

    /// Streams that should flow by now and have brought nothing.
    var missingTracks: Int {
        let live = tracks.indices.count { !owners[$0].hasFailed }
        return settled.reduce(0) { sum, peer in
            guard peer.role.subscribes, !peer.hasFailed else { return sum }
            let flowing = peer.streams.tallies.count { $0.received > 0 }
            return sum + max(0, live - peer.tracks.count - flowing)
        }
    }

    /// None when the server has ended meanwhile: what it did before is reported all the same.
    private func lastServerUsage() -> ProcessUsage? {
        plan.serverProcess.flatMap { ProcessUsage(of: $0) }
    }

    private func serverUsage() throws(LoadTestFault) -> ProcessUsage? {
        guard let process = plan.serverProcess else { return nil }
        guard let usage = ProcessUsage(of: process) else { throw .serverProcess(process) }
        return usage
    }

    private func report(at now: MonotonicTime) {
        guard progressMeter.isDue(at: now) else { return }
        var progress = LoadTestProgress(
            phase: .joining, joined: settled.count, failed: peers.count { $0.hasFailed },
            participants: plan.roles.count, elapsedSeconds: 0, durationSeconds: plan.durationSeconds, sent: 0,
            received: 0, serverShare: nil, testerShare: 0)
        switch phase {
        case .joining: break
        case .settling, .pausing: progress.phase = .settling
        case .measuring(let since):
            progress.phase = .measuring
            progress.elapsedSeconds = Double(now.nanoseconds(since: since)) / 1_000_000_000
        case .draining, .done: progress.phase = .finishing
        }
        (progress.sent, progress.received) = measurement.counts(of: self)
        (progress.serverShare, progress.testerShare) = progressMeter.shares(at: now)
        onProgress(progress)
    }
}
