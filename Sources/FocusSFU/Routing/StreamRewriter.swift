// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Gives one subscriber a continuous RTP stream out of one or more received ones.
///
/// A downstream track keeps its SSRC for life while the source may change (another simulcast layer, a publisher that
/// started anew). Sequence numbers stay contiguous, timestamps move forward by the time that passed.
///
///     source A:  … 41 42 43 ┊
///     source B:             ┊ 900 901        switch at a key frame
///     output:    … 11 12 13 ┊ 14  15
package struct StreamRewriter: Sendable {
    /// What a forwarded packet is called on its way out.
    package struct Numbers: Equatable, Sendable {
        package var sequence: UInt16
        package var timestamp: UInt32
    }

    private var sequenceOffset: UInt16 = 0
    private var timestampOffset: UInt32 = 0
    /// Source packets before this extended number belong to what was shown before the switch.
    private var firstExtended: Int64 = 0
    /// Packets below this one were numbered before the last omission, one higher.
    private var omissionBoundary: Int64 = 0
    private var omittedAtBoundary: UInt16 = 0

    package private(set) var highestSequence: UInt16
    package private(set) var highestTimestamp: UInt32
    private var highestSentAt = MonotonicTime.zero
    private var hasSent = false

    /// - Parameter firstSequence: where the output begins; random, small enough to leave room before a wrap.
    package init(firstSequence: UInt16, firstTimestamp: UInt32) {
        highestSequence = firstSequence &- 1
        highestTimestamp = firstTimestamp
    }

    /// The next packets come from another source, beginning with this one.
    ///
    /// - Parameter clockRate: RTP ticks a second, to let the timestamp advance by the time that passed.
    package mutating func switchSource(
        extended: Int64, timestamp: UInt32, clockRate: UInt32, at now: MonotonicTime
    ) {
        let next = highestSequence &+ 1
        sequenceOffset = UInt16(truncatingIfNeeded: extended) &- next
        let elapsed = hasSent ? now.nanoseconds(since: highestSentAt) / 1000 : 0
        let ticks = hasSent ? max(1, UInt32(truncatingIfNeeded: elapsed &* UInt64(clockRate) / 1_000_000)) : 0
        timestampOffset = timestamp &- (highestTimestamp &+ ticks)
        firstExtended = extended
        omissionBoundary = extended
        omittedAtBoundary = 0
    }

    /// Leaves out one packet (padding) so that the output has no gap where it was. Only in order; late ones are ignored.
    package mutating func omit(extended: Int64) {
        guard extended >= omissionBoundary,
            UInt16(truncatingIfNeeded: extended) &- sequenceOffset == highestSequence &+ 1
        else { return }
        sequenceOffset &+= 1
        omissionBoundary = extended &+ 1
        omittedAtBoundary = 1
    }

    /// Numbers for a source packet, or nil when it belongs to the time before the switch.
    package mutating func numbers(
        extended: Int64, timestamp: UInt32, at now: MonotonicTime
    ) -> Numbers? {
        guard extended >= firstExtended else { return nil }
        let offset = extended < omissionBoundary ? sequenceOffset &- omittedAtBoundary : sequenceOffset
        let numbers = Numbers(
            sequence: UInt16(truncatingIfNeeded: extended) &- offset, timestamp: timestamp &- timestampOffset)
        if !hasSent || SequenceNumber.isNewer(numbers.sequence, than: highestSequence) {
            highestSequence = numbers.sequence
            highestTimestamp = numbers.timestamp
            highestSentAt = now
            hasSent = true
        }
        return numbers
    }

    /// A source timestamp in the output's terms, for sender reports.
    package func rewritten(timestamp: UInt32) -> UInt32 {
        timestamp &- timestampOffset
    }
}
