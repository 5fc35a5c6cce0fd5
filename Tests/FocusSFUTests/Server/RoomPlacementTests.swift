// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization
import Testing

@testable import FocusSFU

@Suite("Where rooms go")
struct RoomPlacementTests {
    @Test("a room goes to the worker with the fewest sessions, of equal ones to that with the fewest rooms")
    func leastLoaded() {
        #expect(RoomDirectory.leastLoaded(populations: [300, 0], rooms: [1, 5]) == 1)
        #expect(RoomDirectory.leastLoaded(populations: [2, 2, 2], rooms: [3, 1, 2]) == 1)
        #expect(RoomDirectory.leastLoaded(populations: [0, 0], rooms: [0, 0]) == 0)
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
