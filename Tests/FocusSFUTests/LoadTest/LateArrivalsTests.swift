// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Stalls of a load test")
struct LateArrivalsTests {
    private static let millisecond: UInt64 = 1_000_000

    /// Milliseconds from the beginning.
    private static func stalls(_ packets: [(sent: UInt64, arrival: UInt64)]) -> [LateArrivals.Stall] {
        var late = LateArrivals()
        for packet in packets { late.add(sent: packet.sent * millisecond, arrival: packet.arrival * millisecond) }
        return late.stalls
    }

    @Test("a packet is late beyond 5 ms")
    func limit() {
        #expect(Self.stalls([(100, 105), (200, 201)]).isEmpty)
        #expect(Self.stalls([(100, 106)]) == [.init(begin: 100_000, end: 106_000, packets: 1)])
        #expect(Self.stalls([(100, 90)]).isEmpty, "a clock that was set back")
    }

    @Test("packets that were late together are one stall, in whatever order they are read")
    func together() {
        #expect(
            Self.stalls([(300, 310), (104, 120), (100, 118), (118, 126)]) == [
                .init(begin: 100_000, end: 126_000, packets: 3), .init(begin: 300_000, end: 310_000, packets: 1),
            ])
    }

    @Test("a run that is late all the time takes no more memory than some time of it")
    func bound() {
        var late = LateArrivals()
        for packet in 0..<UInt64(LateArrivals.kept + 10) {
            late.add(sent: packet * 10 * Self.millisecond, arrival: (packet * 10 + 6) * Self.millisecond)
        }
        #expect(late.stalls.count == LateArrivals.kept)
    }
}
