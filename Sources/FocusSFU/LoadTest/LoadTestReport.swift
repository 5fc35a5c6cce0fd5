// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The figures of a load test. Packets and processor time are those of the measured window alone, in which all are in.
package struct LoadTestReport: Equatable, Sendable, Encodable {
    /// Microseconds; all are absent without samples.
    package struct Times: Equatable, Sendable, Encodable {
        package var count: UInt64
        package var p50: UInt64?
        package var p95: UInt64?
        package var p99: UInt64?
        package var max: UInt64?

        init(_ distribution: Distribution) {
            count = distribution.count
            let percentiles = distribution.percentiles([0.5, 0.95, 0.99])
            guard percentiles.count == 3 else { return }
            (p50, p95, p99) = (percentiles[0], percentiles[1], percentiles[2])
            max = distribution.maximum
        }
    }

    package struct Server: Equatable, Sendable, Encodable {
        package var processorSeconds: Double
        /// 1 is one core.
        package var processorShare: Double
        /// Time in which its threads were ready and no processor was free, all of them together; 1 is the whole window.
        package var waitingShare: Double
        package var packetsPerProcessorSecond: Double?
        package var residentBytes: UInt64
        /// What it grew by with the subscribers (in a meeting: the participants), divided by their number.
        package var bytesPerSubscriber: Int64?
    }

    package struct Tester: Equatable, Sendable, Encodable {
        package var processorSeconds: Double
        package var processorShare: Double
        /// Share of the time in which it was ready and no processor was free.
        package var waitingShare: Double
        /// What a machine below this virtual one took for others, the sum of all processors; 1 is one core.
        package var stolenShare: Double
        /// Datagrams that its sockets had no room for.
        package var overflow: UInt64
        /// Packets that it could not send.
        package var unsent: UInt64
        /// How late packets left.
        package var lateness: Times
    }

    package struct Flood: Equatable, Sendable, Encodable {
        package var kind: String
        /// Packets given to the kernel in the measured window.
        package var sent: UInt64
        /// Packets that the kernel had no room for.
        package var unsent: UInt64
    }

    package var pacing: String
    package var participants: Int
    package var joined: Int
    package var failed: Int
    /// The first reasons of those that failed, or went before the end.
    package var failures: [String]
    package var publishers: Int
    package var subscribers: Int
    package var publishedTracks: Int
    package var subscribedTracks: Int
    /// Streams that should flow and never did.
    package var missingTracks: Int
    /// What media was encrypted with, by its name in the registry of DTLS-SRTP profiles; nil when nobody came in.
    package var srtpProfile: String?
    package var seconds: Double
    package var sent: UInt64
    /// What would have arrived without any loss: each packet once at each of its subscribers.
    package var expected: UInt64
    package var received: UInt64
    package var lost: UInt64
    package var lossPercent: Double
    package var duplicates: UInt64
    /// Sequence numbers that never came, of the whole test; the server's own omissions leave none.
    package var sequenceGaps: UInt64
    package var receivedBitsPerSecond: Double
    /// Packets of streams that no description announced: retransmissions and probes.
    package var unannounced: UInt64
    /// Datagrams of no use: not STUN, DTLS, RTP or RTCP, or not authentic.
    package var refused: UInt64
    package var sampled: UInt64
    /// Packets that did not decrypt, or were not what had been sent.
    package var falsified: UInt64
    /// Signal socket begun to first media packet.
    package var joinTime: Times
    /// Sent by the publisher to arrived at the subscriber's socket, both by the clock of this machine.
    package var latency: Times
    /// When sampled packets took more than 5 ms.
    package var stalls: [LateArrivals.Stall]
    package var server: Server?
    package var tester: Tester
    package var flood: Flood?
    /// What makes the figures say less of the server than they seem to; nil when nothing does.
    package var bottleneck: String?

    /// A sentence for the gravest of the disturbances that the other figures show.
    var disturbance: String? { Self.disturbance(tester: tester, server: server) }

    static func disturbance(tester: Tester, server: Server?) -> String? {
        func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
        if tester.overflow > 0 {
            return
                "\(tester.overflow) datagrams found no room in the tester's own sockets, so the loss is not the"
                + " server's alone: raise net.core.rmem_max, or give the tester a processor of its own."
        }
        if tester.processorShare > 0.85 {
            return "The tester was busy for \(percent(tester.processorShare)) of a core: it was the bottleneck, not the"
                + " server."
        }
        if tester.waitingShare > 0.2 {
            return
                "The tester waited for a processor \(percent(tester.waitingShare)) of the time: other programs disturb"
                + " the measurement."
        }
        if let server, server.waitingShare > 0.2 {
            return
                "The server waited for a processor \(percent(server.waitingShare)) of the time: other programs, or its"
                + " own threads on too few processors, disturb the measurement."
        }
        if let late = tester.lateness.p99, late > 20_000 {
            return "The tester sent its packets up to \(late / 1000) ms late: the load was less even than asked for."
        }
        if tester.stolenShare > 0.02 {
            return
                "The machine below this one gave \(percent(tester.stolenShare)) of a core to others: long delays may be"
                + " its own."
        }
        return nil
    }
}

/// How a load test goes on, for people who watch.
package struct LoadTestProgress: Equatable, Sendable {
    package enum Phase: String, Sendable {
        case joining
        case settling
        case measuring
        case finishing
    }

    package var phase: Phase
    package var joined: Int
    package var failed: Int
    package var participants: Int
    /// Of the measured window.
    package var elapsedSeconds: Double
    package var durationSeconds: Int
    package var sent: UInt64
    package var received: UInt64
    /// Shares of a core since the last report; the server's only where its process is known.
    package var serverShare: Double?
    package var testerShare: Double
}
