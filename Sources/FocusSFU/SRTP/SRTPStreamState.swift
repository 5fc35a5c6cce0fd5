// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Packet numbers of one SSRC: 32 bits of rollover counter above 16 bits of sequence number (RFC 3711 §3.3.1).
enum SRTPPacketIndex {
    /// The last index a key may be used for (RFC 3711 §9.2).
    static let last: Int64 = 1 << 48 - 1

    /// The index nearest to the highest one known; negative when it lies before the start of the stream.
    @inline(__always)
    static func estimate(sequence: UInt16, highest: Int64) -> Int64 {
        guard highest >= 0 else { return Int64(sequence) }
        let candidate = highest & ~0xFFFF | Int64(sequence)
        if candidate &+ 0x8000 < highest { return candidate &+ 0x10000 }
        if candidate > highest &+ 0x8000 { return candidate &- 0x10000 }
        return candidate
    }
}

/// What a sender remembers of one outgoing SSRC. Lives in the caller's own structure of the stream.
package struct SRTPStreamState: Sendable {
    /// The highest index used, -1 before the first packet.
    private(set) var highestIndex: Int64 = -1

    package init() {}

    /// How often the sequence number has wrapped.
    package var rolloverCounter: UInt32 { highestIndex < 0 ? 0 : UInt32(truncatingIfNeeded: highestIndex >> 16) }

    @inline(__always)
    mutating func used(_ index: Int64) {
        if index > highestIndex { highestIndex = index }
    }
}

/// What a receiver remembers of one incoming SSRC: the highest index and which of the last packets came.
///
/// The window has 1024 bits, RFC 3711 §3.3.2 asks for 64 at least. Video retransmitted under its own SSRC comes a round trip
/// late, and at 2000 packets a second 64 packets are 32 ms; 1024 are half a second for 128 bytes of memory.
package struct SRTPReceiveStreamState: Sendable {
    private var highestIndex: Int64 = -1
    private var window = SRTPReplayWindow()

    package init() {}

    /// How often the sequence number has wrapped.
    package var rolloverCounter: UInt32 { highestIndex < 0 ? 0 : UInt32(truncatingIfNeeded: highestIndex >> 16) }

    @inline(__always)
    func estimate(_ sequence: UInt16) -> Int64 {
        SRTPPacketIndex.estimate(sequence: sequence, highest: highestIndex)
    }

    /// Why a packet must not be looked at; nil when it may be new.
    @inline(__always)
    func refusal(of index: Int64) -> DropReason? {
        if index < 0 { return .srtpTooOld }
        if index > SRTPPacketIndex.last { return .srtpKeyLimit }
        if index > highestIndex { return nil }
        if !window.covers(index, highest: highestIndex) { return .srtpTooOld }
        return window.contains(index) ? .srtpReplayed : nil
    }

    /// Notes an authentic packet.
    @inline(__always)
    mutating func accepted(_ index: Int64) {
        if index > highestIndex {
            window.advance(from: highestIndex, to: index)
            highestIndex = index
        }
        window.insert(index)
    }
}

/// A ring of 1024 bits in 16 words. Moving on clears whole words, so nothing is ever shifted.
///
/// The word that the highest index is in is shared by no older index, hence 961 to 1024 indices are covered.
struct SRTPReplayWindow: Sendable {
    private var words = InlineArray<16, UInt64>(repeating: 0)

    @inline(__always)
    func covers(_ index: Int64, highest: Int64) -> Bool {
        highest >> 6 &- index >> 6 < 16
    }

    @inline(__always)
    func contains(_ index: Int64) -> Bool {
        words[Int(index >> 6) & 15] & 1 << UInt64(index & 63) != 0
    }

    @inline(__always)
    mutating func insert(_ index: Int64) {
        words[Int(index >> 6) & 15] |= 1 << UInt64(index & 63)
    }

    /// Clears what the ring is about to use again.
    @inline(__always)
    mutating func advance(from old: Int64, to new: Int64) {
        let newWord = new >> 6
        var word = max(old >> 6 &+ 1, newWord &- 15)
        while word <= newWord {
            words[Int(word) & 15] = 0
            word &+= 1
        }
    }
}
