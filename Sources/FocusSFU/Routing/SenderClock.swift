// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The mapping between a sender's RTP timestamps and its NTP clock, from its last sender report. RFC 3550 §6.4.1.
///
/// Reports to receivers carry the sender's own clock, so that sound and picture of one participant stay together.
/// All NTP values are 32.32 fixed point.
package struct SenderClock: Sendable {
    private struct Reference {
        let ntp: UInt64
        let rtp: UInt32
        let arrival: MonotonicTime
    }

    private let clockRate: UInt32
    private var reference: Reference?

    /// - Parameter clockRate: of the RTP timestamps, in Hz.
    package init(clockRate: UInt32) {
        self.clockRate = clockRate
    }

    /// A report with time 0 comes from a sender without a clock and is ignored, RFC 3550 §6.4.1.
    package mutating func senderReportReceived(ntp: UInt64, rtpTimestamp: UInt32, at now: MonotonicTime) {
        guard ntp != 0 else { return }
        reference = Reference(ntp: ntp, rtp: rtpTimestamp, arrival: now)
    }

    /// The sender's time when it sampled `rtpTimestamp`, right within half a cycle of its last report.
    package func ntp(forRTPTimestamp rtpTimestamp: UInt32) -> UInt64? {
        guard let reference, clockRate > 0 else { return nil }
        let steps = Int64(Int32(bitPattern: rtpTimestamp &- reference.rtp))
        return reference.ntp &+ UInt64(bitPattern: steps << 32 / Int64(clockRate))
    }

    /// The timestamp of what the sender sampled at `ntp`.
    package func rtpTimestamp(forNTP ntp: UInt64) -> UInt32? {
        guard let reference else { return nil }
        let passed = Int64(bitPattern: ntp &- reference.ntp).multipliedFullWidth(by: Int64(clockRate))
        // Bits 32 to 63 of the product are the whole steps, rounded down.
        return reference.rtp &+ UInt32(truncatingIfNeeded: passed.low >> 32)
    }

    /// The sender's clock and its RTP timestamp for this instant, not counting the time its report travelled.
    package func timestamps(at now: MonotonicTime) -> (ntp: UInt64, rtpTimestamp: UInt32)? {
        guard let reference else { return nil }
        let passed = now.nanoseconds(since: reference.arrival)
        let seconds = passed / 1_000_000_000
        let ntp = reference.ntp &+ (seconds << 32 | (passed % 1_000_000_000) << 32 / 1_000_000_000)
        guard let rtpTimestamp = rtpTimestamp(forNTP: ntp) else { return nil }
        return (ntp, rtpTimestamp)
    }
}
