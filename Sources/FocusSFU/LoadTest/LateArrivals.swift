// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Sampled packets that took too long, and the stretches of time they make together.
package struct LateArrivals: Equatable, Sendable {
    /// What counts as late, microseconds.
    package static let limit: UInt64 = 5_000
    /// Those after so many are not looked at: by then the whole run is late.
    static let kept = 1 << 16

    /// From the first late packet's departure to the last one's arrival, none of them apart from the others.
    package struct Stall: Equatable, Sendable, Encodable {
        /// Unix time, microseconds.
        package var begin: UInt64
        package var end: UInt64
        package var packets: Int
    }

    private var packets: [Stall] = []

    package init() {}

    /// Notes a packet if it was late; both times are nanoseconds of the machine's clock.
    package mutating func add(sent: UInt64, arrival: UInt64) {
        guard arrival > sent, arrival - sent > Self.limit * 1_000, packets.count < Self.kept else { return }
        packets.append(Stall(begin: sent / 1_000, end: arrival / 1_000, packets: 1))
    }

    /// In order of time.
    package var stalls: [Stall] {
        var stalls: [Stall] = []
        for packet in packets.sorted(by: { $0.begin < $1.begin }) {
            if let last = stalls.last, packet.begin <= last.end {
                stalls[stalls.count - 1].end = max(last.end, packet.end)
                stalls[stalls.count - 1].packets += 1
            } else {
                stalls.append(packet)
            }
        }
        return stalls
    }
}
