// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What arrived of one stream, told by sequence numbers alone: they are in the clear, so nothing needs decrypting.
package struct StreamTally: Sendable {
    package enum Arrival: Equatable, Sendable {
        case new
        /// The number came before.
        case duplicate
        /// Too far behind to know; counts as a duplicate, as whoever plays the stream has gone on.
        case tooOld
    }

    /// Remembers the last thousand numbers, as the replay check of SRTP does.
    private var window = SRTPReceiveStreamState()
    private var first: Int64 = -1
    private var highest: Int64 = -1
    /// Numbers that came, each once.
    package private(set) var received: UInt64 = 0
    /// Packets whose number had come already.
    package private(set) var duplicates: UInt64 = 0

    package init() {}

    /// Numbers between the lowest and the highest that never came.
    package var gaps: UInt64 {
        highest < 0 ? 0 : UInt64(max(0, highest - first + 1 - Int64(received)))
    }

    @inline(__always)
    package mutating func count(_ sequence: UInt16) -> Arrival {
        guard highest >= 0 else {
            // One cycle up, so that packets reordered around the first one stay positive.
            first = Int64(sequence) + 0x10000
            highest = first
            window.accepted(first)
            received = 1
            return .new
        }
        let index = window.estimate(sequence)
        switch window.refusal(of: index) {
        case nil:
            window.accepted(index)
            received += 1
            highest = max(highest, index)
            first = min(first, index)
            return .new
        case .srtpReplayed:
            duplicates += 1
            return .duplicate
        default:
            duplicates += 1
            return .tooOld
        }
    }
}

/// The tallies of one subscriber by SSRC: a hash table without deletion.
package struct StreamTable: Sendable {
    private var keys: [UInt32]
    private var slots: [Int32]
    package private(set) var ssrcs: [UInt32] = []
    package private(set) var tallies: [StreamTally] = []

    package init() {
        keys = [UInt32](repeating: 0, count: 16)
        slots = [Int32](repeating: -1, count: 16)
    }

    /// The position of a stream in ``tallies``; nil when it is not expected.
    @inline(__always)
    package func position(of ssrc: UInt32) -> Int? {
        let mask = keys.count - 1
        var slot = Self.hash(ssrc) & mask
        while slots[slot] >= 0 {
            if keys[slot] == ssrc { return Int(slots[slot]) }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// Expects a stream from now on; one that is known stays as it is.
    package mutating func expect(_ ssrc: UInt32) {
        guard position(of: ssrc) == nil else { return }
        if 2 * (ssrcs.count + 1) > keys.count { grow() }
        insert(ssrc, at: Int32(ssrcs.count))
        ssrcs.append(ssrc)
        tallies.append(StreamTally())
    }

    @inline(__always)
    package mutating func count(_ sequence: UInt16, at position: Int) -> StreamTally.Arrival {
        tallies[position].count(sequence)
    }

    private mutating func insert(_ ssrc: UInt32, at position: Int32) {
        let mask = keys.count - 1
        var slot = Self.hash(ssrc) & mask
        while slots[slot] >= 0 { slot = (slot + 1) & mask }
        keys[slot] = ssrc
        slots[slot] = position
    }

    private mutating func grow() {
        keys = [UInt32](repeating: 0, count: keys.count * 2)
        slots = [Int32](repeating: -1, count: slots.count * 2)
        for (position, ssrc) in ssrcs.enumerated() { insert(ssrc, at: Int32(position)) }
    }

    private static func hash(_ ssrc: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(ssrc) &* 0x9E37_79B9_7F4A_7C15) >> 40)
    }
}
