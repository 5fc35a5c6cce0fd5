// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The counters at both ends of the measured window.
///
/// Nothing is under way at its beginning, and what is at its end is waited for, so what was received of what was sent
/// is exact, also for a server that leaves packets out and renumbers the rest.
struct LoadTestMeasurement {
    var serverBefore: ProcessUsage?
    var serverBeforeSubscribers: ProcessUsage?
    private var serverAtStart: ProcessUsage?
    private var serverAtEnd: ProcessUsage?
    /// When the last packet had arrived.
    private var serverWhenDrained: ProcessUsage?
    private var ownAtStart = OwnUsage.zero
    private var ownAtEnd = OwnUsage.zero
    private var start: MonotonicTime?
    private(set) var nanoseconds: UInt64 = 0
    private var sentAtStart: [UInt64] = []
    private var receivedAtStart: [UInt64] = []
    private var duplicatesAtStart: UInt64 = 0
    private var bytesAtStart: UInt64 = 0

    mutating func begin(of run: LoadTestRun, server: ProcessUsage?, at now: MonotonicTime) {
        start = now
        serverAtStart = server
        ownAtStart = OwnUsage.now()
        sentAtStart = run.tracks.map(\.sent)
        receivedAtStart = run.peers.map(\.packets)
        duplicatesAtStart = run.peers.reduce(0) { $0 + Self.duplicates($1) }
        bytesAtStart = run.peers.reduce(0) { $0 + $1.bytes }
    }

    mutating func end(server: ProcessUsage?, at now: MonotonicTime) {
        serverAtEnd = server
        serverWhenDrained = server
        ownAtEnd = OwnUsage.now()
        nanoseconds = start.map { now.nanoseconds(since: $0) } ?? 0
    }

    mutating func drained(server: ProcessUsage?) {
        serverWhenDrained = server
    }

    private static func duplicates(_ peer: LoadPeer) -> UInt64 { peer.streams.tallies.reduce(0) { $0 + $1.duplicates } }

    /// Packets sent and received since the window began.
    func counts(of run: LoadTestRun) -> (sent: UInt64, received: UInt64) {
        guard start != nil else { return (0, 0) }
        return (
            zip(run.tracks, sentAtStart).reduce(0) { $0 + $1.0.sent - $1.1 },
            zip(run.peers, receivedAtStart).reduce(0) { $0 + $1.0.packets - $1.1 }
        )
    }

    /// What all subscribers that stayed would have received of what was sent.
    func expected(of run: LoadTestRun) -> UInt64 {
        guard start != nil else { return 0 }
        let sent = zip(run.tracks, sentAtStart).map { $0.sent - $1 }
        let total = sent.reduce(0, +)
        return run.peers.reduce(0) { sum, peer in
            guard peer.role.subscribes, !peer.hasFailed else { return sum }
            return sum + total - peer.tracks.reduce(0) { $0 + sent[Int($1.number)] }
        }
    }

    /// What the subscribers that stayed received in the window.
    func received(of run: LoadTestRun) -> UInt64 {
        zip(run.peers, receivedAtStart).reduce(0) { sum, pair in
            pair.0.hasFailed ? sum : sum + pair.0.packets - pair.1
        }
    }

    func duplicates(of run: LoadTestRun) -> UInt64 {
        run.peers.reduce(0) { $0 + Self.duplicates($1) } - duplicatesAtStart
    }

    func bytes(of run: LoadTestRun) -> UInt64 {
        run.peers.reduce(0) { $0 + $1.bytes } - bytesAtStart
    }

    var seconds: Double { Double(nanoseconds) / 1_000_000_000 }

    func server(forwarding received: UInt64, subscribers: Int) -> LoadTestReport.Server? {
        guard let serverAtStart, let serverAtEnd, let serverWhenDrained, seconds > 0 else { return nil }
        // All that the window's packets took, and the load while they were sent.
        let used = serverWhenDrained.processorSeconds - serverAtStart.processorSeconds
        let share = (serverAtEnd.processorSeconds - serverAtStart.processorSeconds) / seconds
        let waited = (serverAtEnd.waitingSeconds - serverAtStart.waitingSeconds) / seconds
        var server = LoadTestReport.Server(
            processorSeconds: used, processorShare: share, waitingShare: max(0, waited),
            residentBytes: serverAtEnd.residentBytes)
        if used > 0 { server.packetsPerProcessorSecond = Double(received) / used }
        if let before = serverBeforeSubscribers, subscribers > 0 {
            let growth = Int64(clamping: serverAtEnd.residentBytes) - Int64(clamping: before.residentBytes)
            server.bytesPerSubscriber = growth / Int64(subscribers)
        }
        return server
    }

    func tester(of run: LoadTestRun) -> LoadTestReport.Tester {
        let used = ownAtEnd.processorSeconds - ownAtStart.processorSeconds
        let waited = ownAtEnd.waitingSeconds - ownAtStart.waitingSeconds
        return LoadTestReport.Tester(
            processorSeconds: used, processorShare: seconds > 0 ? used / seconds : 0,
            waitingShare: seconds > 0 ? waited / seconds : 0,
            stolenShare: seconds > 0 ? (ownAtEnd.stolenSeconds - ownAtStart.stolenSeconds) / seconds : 0,
            overflow: run.peers.reduce(0) { $1.connections.reduce($0) { $0 + $1.overflow } },
            unsent: run.tracks.reduce(0) { $0 + $1.lost }, lateness: .init(run.lateness))
    }
}

extension LoadTestReport {
    /// What a run that is over has measured.
    init(of run: LoadTestRun) {
        let measurement = run.measurement
        let stayed = run.peers.filter { !$0.hasFailed }
        let subscribers = stayed.filter(\.role.subscribes)
        let expected = measurement.expected(of: run)
        let received = measurement.received(of: run)
        let lost = expected > received ? expected - received : 0
        self.init(
            pacing: run.plan.pacing.rawValue, participants: run.plan.roles.count, joined: stayed.count,
            failed: run.plan.roles.count - stayed.count,
            failures: Array(run.peers.compactMap(\.failure).prefix(5)),
            publishers: stayed.count { !$0.tracks.isEmpty }, subscribers: subscribers.count,
            publishedTracks: stayed.reduce(0) { $0 + $1.tracks.count },
            subscribedTracks: subscribers.reduce(0) { sum, peer in
                sum + peer.streams.tallies.count { $0.received > 0 }
            },
            missingTracks: run.missingTracks,
            srtpProfile: stayed.lazy.compactMap { $0.sending.srtp?.profile.registeredName }.first,
            seconds: measurement.seconds,
            sent: measurement.counts(of: run).sent, expected: expected, received: received, lost: lost,
            lossPercent: expected > 0 ? Double(lost) * 100 / Double(expected) : 0,
            duplicates: measurement.duplicates(of: run),
            sequenceGaps: subscribers.reduce(0) { $0 + $1.streams.tallies.reduce(0) { $0 + $1.gaps } },
            receivedBitsPerSecond: measurement.seconds > 0
                ? Double(measurement.bytes(of: run)) * 8 / measurement.seconds : 0,
            unannounced: subscribers.reduce(0) { $0 + $1.unannounced },
            refused: run.peers.reduce(0) { $1.connections.reduce($0) { $0 + $1.refused } },
            sampled: subscribers.reduce(0) { $0 + $1.sampled },
            falsified: subscribers.reduce(0) { $0 + $1.falseSamples },
            joinTime: Times(run.joinTime), latency: Times(run.latency), stalls: run.lateArrivals.stalls,
            server: measurement.server(forwarding: received, subscribers: subscribers.count),
            tester: measurement.tester(of: run),
            flood: run.flood.map { Flood(kind: $0.plan.kind.rawValue, sent: $0.sent, unsent: $0.unsent) })
        bottleneck = disturbance
    }
}

extension SRTPProfile {
    /// In the registry of RFC 5764 §4.1.2.
    fileprivate var registeredName: String {
        switch self {
        case .aes128CmHmacSha1Tag80: "SRTP_AES128_CM_HMAC_SHA1_80"
        case .aeadAes128Gcm: "SRTP_AEAD_AES_128_GCM"
        }
    }
}
