// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Replay windows of the RTCP senders of one peer, 64 indices each (RFC 3711 §3.3.2, §3.4).
///
/// Only authentic packets make an entry. A peer with more senders than the table holds loses the window of the one it
/// has not used for longest: then old reports of that sender could be believed once more, which no one but a recorder
/// on the path can cause and which costs at most a wrong report.
struct SRTCPReplayTable {
    static let capacity = 64

    private struct Entry {
        var ssrc: UInt32
        var highest: UInt32
        /// Bit n is set when the packet n before the highest came.
        var window: UInt64
        var lastUse: UInt64
    }

    private var entries: [Entry] = []
    private var uses: UInt64 = 0

    /// Why a packet must not be looked at; nil when it may be new.
    func refusal(ssrc: UInt32, index: UInt32) -> DropReason? {
        guard let entry = entries.first(where: { $0.ssrc == ssrc }), index <= entry.highest else { return nil }
        let age = entry.highest - index
        if age >= 64 { return .srtpTooOld }
        return entry.window & 1 << UInt64(age) != 0 ? .srtpReplayed : nil
    }

    /// Notes an authentic packet.
    mutating func accepted(ssrc: UInt32, index: UInt32) {
        uses &+= 1
        guard let position = entries.firstIndex(where: { $0.ssrc == ssrc }) else {
            makeRoom()
            entries.append(Entry(ssrc: ssrc, highest: index, window: 1, lastUse: uses))
            return
        }
        entries[position].lastUse = uses
        if index > entries[position].highest {
            let step = index - entries[position].highest
            entries[position].window = (step < 64 ? entries[position].window << UInt64(step) : 0) | 1
            entries[position].highest = index
        } else {
            entries[position].window |= 1 << UInt64(entries[position].highest - index)
        }
    }

    private mutating func makeRoom() {
        guard entries.count >= Self.capacity,
            let oldest = entries.indices.min(by: { entries[$0].lastUse < entries[$1].lastUse })
        else { return }
        entries.remove(at: oldest)
    }
}
