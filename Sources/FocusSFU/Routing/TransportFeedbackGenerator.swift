// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Collects the arrivals of one transport and decides when to tell the sender of them.
/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.
///
/// Feedback is due with more than 20 arrivals and 100 ms since the last, at the end of a frame and 50 ms, or with more
/// than 100 arrivals: often enough for a browser to raise its rate, rarely enough to cost little. Memory is allocated
/// once.
package struct TransportFeedbackGenerator: Sendable {
    package static let packetCount = 20
    package static let intervalMilliseconds: UInt64 = 100
    package static let frameIntervalMilliseconds: UInt64 = 50
    package static let fullCount = 100
    /// Arrivals kept when feedback cannot be sent; the oldest make room.
    package static let arrivalLimit = 128
    /// One call writes no more once it has written this much, so that the datagram stays below the path MTU.
    private static let byteLimit = 700

    private var unwrapper = SequenceUnwrapper()
    /// Ascending, without repetition.
    private var arrivals: [TransportFeedback.Arrival] = []
    private var lastFeedback: MonotonicTime?
    /// The number after the last one told.
    private var nextBase: Int64?
    private var feedbackCount: UInt8 = 0

    package init() {
        arrivals.reserveCapacity(Self.arrivalLimit)
    }

    /// Notes a packet; `marker` is the RTP marker bit, the end of a video frame.
    ///
    /// - Returns: true when feedback is due.
    package mutating func received(_ sequence: UInt16, marker: Bool, at now: MonotonicTime) -> Bool {
        insert(
            TransportFeedback.Arrival(
                sequence: unwrapper.unwrap(sequence), tick: Int64(now.nanoseconds / TransportFeedback.tickNanoseconds)))
        guard let lastFeedback else {
            lastFeedback = now
            return false
        }
        let elapsed = now.milliseconds(since: lastFeedback)
        return arrivals.count > Self.fullCount
            || arrivals.count > Self.packetCount && elapsed >= Self.intervalMilliseconds
            || marker && elapsed >= Self.frameIntervalMilliseconds
    }

    /// Writes what is collected, as one or more packets; nothing when there is nothing to tell.
    package mutating func writeFeedback(
        sender: UInt32, media: UInt32, at now: MonotonicTime, into writer: inout ByteWriter
    ) {
        lastFeedback = now
        let start = writer.count
        var rest = arrivals[...]
        while let first = rest.first, writer.count - start < Self.byteLimit {
            var part = rest
            var base = first.sequence
            if let nextBase {
                if first.sequence < nextBase {
                    // Told as missing before: told again, without what has been told since.
                    part = rest.prefix { $0.sequence < nextBase }
                } else if first.sequence - nextBase < TransportFeedback.statusLimit {
                    base = nextBase
                }
            }
            let told = TransportFeedback.write(
                sender: sender, media: media, base: base, arrivals: part, feedbackCount: feedbackCount, into: &writer)
            guard told > 0, let last = part.prefix(told).last else { break }
            feedbackCount &+= 1
            nextBase = max(nextBase ?? 0, last.sequence + 1)
            rest = rest.dropFirst(told)
        }
        arrivals.removeFirst(arrivals.count - rest.count)
    }

    private mutating func insert(_ arrival: TransportFeedback.Arrival) {
        if let nextBase, arrival.sequence < nextBase - Int64(TransportFeedback.statusLimit) { return }
        var index = arrivals.count
        while index > 0, arrivals[index - 1].sequence >= arrival.sequence { index -= 1 }
        if index < arrivals.count, arrivals[index].sequence == arrival.sequence { return }
        if arrivals.count == Self.arrivalLimit {
            arrivals.removeFirst()
            index = max(0, index - 1)
        }
        arrivals.insert(arrival, at: index)
    }
}
