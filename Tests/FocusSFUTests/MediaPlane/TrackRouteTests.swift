// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Subscribers of a track")
struct TrackRouteTests {
    @Test("subscribers come and go in any order, the list grows as needed")
    func addAndRemove() throws {
        var generator = SeededGenerator(seed: 5)
        var route = TrackRoute(isVideo: true)
        defer { route.release() }
        let streams = UnsafeMutablePointer<DownStream>.allocate(capacity: 64)
        defer { streams.deallocate() }
        let transport = UnsafeMutablePointer<TransportRoute>(bitPattern: 64)
        let unused = try #require(transport)
        var expected: Set<Int> = []
        for _ in 0..<2_000 {
            let index = Int.random(in: 0..<64, using: &generator)
            if expected.remove(index) != nil {
                route.remove(streams + index)
            } else {
                expected.insert(index)
                route.add(.init(stream: streams + index, transport: unused, lane: 0))
            }
            #expect(route.subscriberCount == expected.count)
            let listed = Set((0..<route.subscriberCount).map { route.subscribers[$0].stream - streams })
            try #require(listed == expected)
        }
        route.remove(streams + 65)
        #expect(route.subscriberCount == expected.count)
    }
}
