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
///
/// Between two switches or omissions numbers differ from the source's by a constant. Such a ``Run`` is all that is
/// needed to find out later what a number stood for, so nothing is written down for a packet.
package struct StreamRewriter: Sendable {
    /// What a forwarded packet is called on its way out.
    package struct Numbers: Equatable, Sendable {
        /// Extended: counts on where the sequence number wraps.
        package var index: Int64
        package var timestamp: UInt32

        package var sequence: UInt16 { UInt16(truncatingIfNeeded: index) }
    }

    /// Packets of one source with nothing left out between them.
    package struct Run: Equatable, Sendable {
        /// Extended sequence number of the first packet, in the source.
        package var firstSource: Int64 = 0
        /// Source less output.
        package var offset: Int64 = 0
        package var timestampOffset: UInt32 = 0
        /// Where it came from; -1 when that is gone and can no longer be asked.
        package var layer: Int8 = -1
        /// It began behind an omission: what came before is of the same source.
        package var isContinuation = false

        package var firstIndex: Int64 { firstSource - offset }
    }

    package private(set) var highestIndex: Int64
    private var highestTimestamp: UInt32
    private var highestSentAt = MonotonicTime.zero
    private var hasSent = false
    private var run = Run()
    /// Last, for no packet in order touches it.
    private var earlier = EarlierRuns()

    /// How much of the struct's end a packet in order does not touch, in bytes.
    package static var coldByteCount: Int { MemoryLayout<EarlierRuns>.size }

    /// - Parameter firstSequence: where the output begins; random, small enough to leave room before a wrap.
    package init(firstSequence: UInt16, firstTimestamp: UInt32) {
        highestIndex = Int64(firstSequence) - 1
        highestTimestamp = firstTimestamp
        run.firstSource = Int64(firstSequence)
    }

    /// The next packets come from another source, beginning with this one.
    ///
    /// - Parameters:
    ///   - layer: what that source is called; not negative.
    ///   - clockRate: RTP ticks a second, to let the timestamp advance by the time that passed.
    package mutating func switchSource(
        to layer: Int8, extended: Int64, timestamp: UInt32, clockRate: UInt32, at now: MonotonicTime
    ) {
        let elapsed = hasSent ? now.nanoseconds(since: highestSentAt) / 1000 : 0
        let ticks = hasSent ? max(1, UInt32(truncatingIfNeeded: elapsed &* UInt64(clockRate) / 1_000_000)) : 0
        begin(
            Run(
                firstSource: extended, offset: extended - (highestIndex + 1),
                timestampOffset: timestamp &- (highestTimestamp &+ ticks), layer: layer))
    }

    /// Leaves out one packet (padding) so that the output has no gap where it was. Only in order; late ones are
    /// ignored.
    package mutating func omit(extended: Int64) {
        guard extended >= run.firstSource, extended - run.offset == highestIndex + 1 else { return }
        var next = run
        next.firstSource = extended + 1
        next.offset += 1
        next.isContinuation = run.isContinuation || run.firstIndex <= highestIndex
        begin(next)
    }

    /// Numbers for a source packet; nil when it was left out, or belongs to the time before the switch or too many runs
    /// back.
    @inline(__always)
    package mutating func numbers(
        extended: Int64, timestamp: UInt32, at now: MonotonicTime
    ) -> Numbers? {
        guard extended >= run.firstSource else { return numbersOfLate(extended: extended, timestamp: timestamp) }
        let numbers = Numbers(index: extended - run.offset, timestamp: timestamp &- run.timestampOffset)
        if !hasSent || numbers.index > highestIndex {
            highestIndex = numbers.index
            highestTimestamp = numbers.timestamp
            highestSentAt = now
            hasSent = true
        }
        return numbers
    }

    /// True when so much was left out before this packet that its number would be taken for an older one (RFC 3711
    /// §3.3.1), and for one so far behind that it must be of another source.
    @inline(__always)
    package func isOutOfReach(extended: Int64) -> Bool {
        let step = extended - run.offset - highestIndex
        return step > Int64(Int16.max) || step < Int64(Int16.min)
    }

    /// A source timestamp in the output's terms, for sender reports.
    package func rewritten(timestamp: UInt32) -> UInt32 {
        timestamp &- run.timestampOffset
    }

    /// The run that a number was given in; nil when it lies too many runs back or its source cannot be asked any more.
    package func run(of index: Int64) -> Run? {
        guard let found = index >= run.firstIndex ? run : earlier.first(where: { $0.firstIndex <= index }) else {
            return nil
        }
        return found.layer >= 0 ? found : nil
    }

    /// From now on no number given so far tells where it came from.
    package mutating func forgetSources() {
        earlier = EarlierRuns()
        run.firstSource = highestIndex + 1 + run.offset
        run.isContinuation = false
    }

    /// The same for the numbers of one source that is not the current one.
    package mutating func forgetSource(_ layer: Int8) {
        earlier.forget(layer)
    }

    private mutating func begin(_ next: Run) {
        // A run in which nothing was sent leaves no trace.
        if run.firstIndex <= highestIndex { earlier.append(run) }
        run = next
    }

    /// A packet from before an omission; what it is called must lie before the number that the omitted one left to
    /// others.
    private func numbersOfLate(extended: Int64, timestamp: UInt32) -> Numbers? {
        var later = run
        while later.isContinuation {
            guard let candidate = earlier.first(where: { $0.firstIndex < later.firstIndex }) else { return nil }
            if extended >= candidate.firstSource {
                let index = extended - candidate.offset
                guard index < later.firstIndex else { return nil }
                return Numbers(index: index, timestamp: timestamp &- candidate.timestampOffset)
            }
            later = candidate
        }
        return nil
    }
}

/// The last runs before the current one.
private struct EarlierRuns: Sendable {
    private static let capacity = 16
    private var runs = InlineArray<16, StreamRewriter.Run>(repeating: StreamRewriter.Run())
    private var total = 0

    mutating func append(_ run: StreamRewriter.Run) {
        runs[total % Self.capacity] = run
        total += 1
    }

    mutating func forget(_ layer: Int8) {
        for index in runs.indices where runs[index].layer == layer { runs[index].layer = -1 }
    }

    /// The youngest that fits.
    func first(where fits: (StreamRewriter.Run) -> Bool) -> StreamRewriter.Run? {
        for number in stride(from: total - 1, through: max(0, total - Self.capacity), by: -1)
        where fits(runs[number % Self.capacity]) {
            return runs[number % Self.capacity]
        }
        return nil
    }
}
