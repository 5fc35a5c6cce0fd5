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
/// The window has 1024 bits, RFC 3711 §3.3.2 asks for 64 at least. Video retransmitted under its own SSRC comes a round
/// trip late, and at 2000 packets a second 64 packets are 32 ms; 1024 are half a second for 128 bytes of memory.
package struct SRTPReceiveStreamState: Sendable {
    private var highestIndex: Int64 = -1
    private var window = SequenceWindow<16>()

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
