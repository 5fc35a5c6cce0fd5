// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization
import Testing

@testable import FocusSFU

@Suite("Where rooms go")
struct RoomPlacementTests {
    @Test("a room goes to the worker with the fewest sessions, and rooms made ahead of them are spread")
    func leastLoaded() {
        #expect(RoomDirectory.leastLoaded(populations: [300, 0], rooms: [1, 5]) == 1)
        #expect(RoomDirectory.leastLoaded(populations: [0, 0], rooms: [0, 0]) == 0)
        var rooms = [1, 1]
        for _ in 0..<50 { rooms[RoomDirectory.leastLoaded(populations: [10, 9], rooms: rooms)] += 1 }
        #expect(rooms == [26, 26])
    }

    @Test("sessions that come and go are counted where they are")
    func populations() async throws {
        try await SimulatedCall.run { call in
            _ = try call.join("alice")
            let bob = try call.join("bob")
            #expect(call.worker.population.load(ordering: .relaxed) == 2)
            bob.send(.leave(LiveKitLeaveRequest()))
            try call.wait("bob is gone") { call.worker.population.load(ordering: .relaxed) == 1 }
        }
    }
}
