// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Finds the packets of one received stream that are missing and decides when to ask for each again. RFC 4585 §6.2.1.
///
///     gap ──▶ missing ── 20 ms ──▶ asked ── interval ──▶ asked again … five times ──▶ given up
///                └──────── arrives ────────┴──▶ forgotten
///
/// The interval starts at the round-trip time and grows by a quarter each time, within 20 and 400 ms. At most 100
/// packets are awaited; losing sight of more means that only a key frame helps. Memory is allocated once.
package struct NackGenerator: Sendable {
    package enum Arrival: Equatable, Sendable {
        /// The first packet, or one newer than all before.
        case advanced
        /// It was awaited.
        case recovered
        /// A duplicate, one given up, or one from before the start.
        case stale
        /// The sender continues elsewhere in the number space; nothing in between is awaited.
        case restarted
    }

    /// Longer gaps are no loss that retransmission can mend.
    package static let gapLimit = 1000
    package static let queueLimit = 100
    package static let tryLimit: UInt8 = 5
    /// How long a packet may be overtaken before it is asked for.
    package static let reorderMilliseconds: UInt64 = 20
    package static let intervalMilliseconds: ClosedRange<UInt64> = 20...400
    /// Assumed until the round trip is measured.
    package static let defaultRoundTripMilliseconds: UInt64 = 70

    private struct Entry {
        let sequence: UInt16
        var due: MonotonicTime
        var tries: UInt8
    }

    /// Ascending.
    private var missing: [Entry] = []
    private var highest: UInt16?
    /// What would follow the last packet that was far behind; a second in a row proves a restart (RFC 3550 A.1).
    private var restart: UInt16?
    private var wantsKeyFrame = false

    package init() {
        missing.reserveCapacity(Self.queueLimit)
    }

    /// Packets that are awaited.
    package var missingCount: Int { missing.count }

    package mutating func received(_ sequence: UInt16, at now: MonotonicTime) -> Arrival {
        guard let highest else {
            self.highest = sequence
            return .advanced
        }
        let step = SequenceNumber.distance(from: highest, to: sequence)
        if step > Self.gapLimit {
            startOver(at: sequence)
            return .restarted
        }
        if step > 0 {
            self.highest = sequence
            restart = nil
            expect(step - 1, before: sequence, from: now)
            return .advanced
        }
        if step < -Self.gapLimit {
            if restart == sequence {
                startOver(at: sequence)
                return .restarted
            }
            restart = sequence &+ 1
            return .stale
        }
        return recovered(sequence) ? .recovered : .stale
    }

    /// True when a packet that a retransmission stream brings was awaited. What such a stream says moves nothing else.
    package mutating func recovered(_ sequence: UInt16) -> Bool {
        guard let index = missing.firstIndex(where: { $0.sequence == sequence }) else { return false }
        missing.remove(at: index)
        return true
    }

    /// Fills `buffer` with the packets to ask for now, in ascending order, and counts a try for each.
    ///
    /// What does not fit stays due.
    /// - Returns: how many were filled in.
    package mutating func nextRequests(
        at now: MonotonicTime, roundTripMilliseconds: UInt64, into buffer: UnsafeMutableBufferPointer<UInt16>
    ) -> Int {
        var filled = 0
        var kept = 0
        for index in missing.indices {
            var entry = missing[index]
            if entry.due <= now {
                if entry.tries == Self.tryLimit { continue }
                if filled < buffer.count {
                    buffer[filled] = entry.sequence
                    filled += 1
                    let interval = Self.interval(after: entry.tries, roundTripMilliseconds: roundTripMilliseconds)
                    entry.due = now.advanced(byMilliseconds: interval)
                    entry.tries += 1
                }
            }
            missing[kept] = entry
            kept += 1
        }
        missing.removeLast(missing.count - kept)
        return filled
    }

    /// When the next packet is due; nil when none is awaited.
    package var nextDeadline: MonotonicTime? {
        var earliest: MonotonicTime?
        for entry in missing where entry.due < earliest ?? MonotonicTime(nanoseconds: .max) { earliest = entry.due }
        return earliest
    }

    /// True once after packets were lost that will not be asked for.
    package mutating func takeKeyFrameWish() -> Bool {
        defer { wantsKeyFrame = false }
        return wantsKeyFrame
    }

    private mutating func startOver(at sequence: UInt16) {
        missing.removeAll(keepingCapacity: true)
        highest = sequence
        restart = nil
        wantsKeyFrame = true
    }

    private mutating func expect(_ count: Int, before sequence: UInt16, from now: MonotonicTime) {
        guard count > 0 else { return }
        let added = min(count, Self.queueLimit)
        let dropped = missing.count + added - Self.queueLimit
        if dropped > 0 { missing.removeFirst(dropped) }
        if dropped > 0 || added < count { wantsKeyFrame = true }
        let due = now.advanced(byMilliseconds: Self.reorderMilliseconds)
        for back in stride(from: added, to: 0, by: -1) {
            missing.append(Entry(sequence: sequence &- UInt16(back), due: due, tries: 0))
        }
    }

    private static func interval(after tries: UInt8, roundTripMilliseconds: UInt64) -> UInt64 {
        // The clamp before growing keeps the product small, whatever the peer made us measure.
        var interval = min(max(roundTripMilliseconds, intervalMilliseconds.lowerBound), intervalMilliseconds.upperBound)
        for _ in 0..<tries { interval = interval * 5 / 4 }
        return min(interval, intervalMilliseconds.upperBound)
    }
}
