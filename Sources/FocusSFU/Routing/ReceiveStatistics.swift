// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the reports to a sender say of its stream: loss, jitter, and when its last report came. RFC 3550 appendices
/// A.1, A.3 and A.8.
///
/// Feed it the packets of one SSRC as they arrive, without those rebuilt from retransmissions.
package struct ReceiveStatistics: Sendable {
    /// A.1: further ahead than this is a restart and not loss.
    private static let maximumDropout: UInt16 = 3000
    /// A.1: further behind than this is a restart and not reordering.
    private static let maximumMisorder: UInt16 = 100

    private let clockRate: UInt64
    private var hasStarted = false
    private var base: UInt32 = 0
    private var highest: UInt16 = 0
    private var cycles: UInt32 = 0
    private var restart: UInt16?
    private var receivedCount: UInt32 = 0
    private var expectedBefore: UInt32 = 0
    private var receivedBefore: UInt32 = 0
    private var transit: UInt32?
    /// Times 16, so that the smoothing works in integers (A.8).
    private var scaledJitter: UInt32 = 0
    private var lastSenderReport: UInt32 = 0
    private var lastSenderReportArrival = MonotonicTime.zero

    /// - Parameter clockRate: of the RTP timestamps, in Hz.
    package init(clockRate: UInt32) {
        self.clockRate = UInt64(clockRate)
    }

    /// In units of the RTP clock.
    package var jitter: UInt32 { scaledJitter >> 4 }

    /// How many packets were expected in the interval of the last report block.
    package private(set) var expectedLately: UInt32 = 0

    /// Packets received since the start, counting duplicates.
    package var packetCount: UInt32 { receivedCount }

    package mutating func received(sequence: UInt16, timestamp: UInt32, at now: MonotonicTime) {
        guard countSequence(sequence) else { return }
        receivedCount &+= 1

        let seconds = now.nanoseconds / 1_000_000_000
        let rest = now.nanoseconds % 1_000_000_000
        let arrival = UInt32(truncatingIfNeeded: seconds &* clockRate &+ rest &* clockRate / 1_000_000_000)
        let transit = arrival &- timestamp
        if let previous = self.transit {
            let difference = Int32(bitPattern: transit &- previous).magnitude
            scaledJitter = scaledJitter &+ difference &- (scaledJitter &+ 8) >> 4
        }
        self.transit = transit
    }

    /// `ntp` is the 32.32 time the report carries.
    package mutating func senderReportReceived(ntp: UInt64, at now: MonotonicTime) {
        lastSenderReport = UInt32(truncatingIfNeeded: ntp >> 16)
        lastSenderReportArrival = now
    }

    /// The block for the next report, which starts a new interval for the fraction lost; nil before the first packet.
    package mutating func makeReportBlock(ssrc: UInt32, at now: MonotonicTime) -> ReportBlock? {
        guard hasStarted else { return nil }
        let extended = cycles &+ UInt32(highest)
        let expected = extended &- base &+ 1
        let lost = Int32(bitPattern: expected &- receivedCount)

        let expectedNow = expected &- expectedBefore
        let lostNow = Int32(bitPattern: expectedNow &- (receivedCount &- receivedBefore))
        expectedBefore = expected
        expectedLately = expectedNow
        receivedBefore = receivedCount
        let fraction = expectedNow == 0 || lostNow <= 0 ? 0 : UInt64(lostNow) << 8 / UInt64(expectedNow)

        var delay: UInt32 = 0
        if lastSenderReport != 0 {
            let passed = now.nanoseconds(since: lastSenderReportArrival)
            let seconds = passed / 1_000_000_000
            delay = UInt32(truncatingIfNeeded: seconds << 16 | (passed % 1_000_000_000) << 16 / 1_000_000_000)
        }
        return ReportBlock(
            ssrc: ssrc, fractionLost: UInt8(min(fraction, 255)),
            cumulativeLost: min(max(lost, -0x80_0000), 0x7F_FFFF), highestSequence: extended, jitter: jitter,
            lastSenderReport: lastSenderReport, delaySinceLastSenderReport: delay)
    }

    /// Follows the numbers; false for a packet that may belong to a restart not yet proved.
    private mutating func countSequence(_ sequence: UInt16) -> Bool {
        guard hasStarted else {
            start(at: sequence)
            return true
        }
        let step = sequence &- highest
        if step < Self.maximumDropout {
            if sequence < highest { cycles &+= 0x1_0000 }
            highest = sequence
            restart = nil
        } else if step <= 0 &- Self.maximumMisorder {
            guard restart == sequence else {
                restart = sequence &+ 1
                return false
            }
            start(at: sequence)
        }
        return true
    }

    private mutating func start(at sequence: UInt16) {
        hasStarted = true
        base = UInt32(sequence)
        highest = sequence
        cycles = 0
        restart = nil
        receivedCount = 0
        expectedBefore = 0
        receivedBefore = 0
        transit = nil
    }
}
