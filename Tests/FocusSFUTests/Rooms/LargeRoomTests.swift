// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("One room on two threads")
    struct LargeRoom {
        private final class Count: Sendable {
            let value = Atomic<UInt64>(0)
        }

        /// Who helps the worker that has the room.
        enum Helper: CaseIterable {
            case anotherWorker
            case threadWithoutPort
        }

        @Test(
            "another thread helps with a crowd, and every packet arrives once and in order", arguments: Helper.allCases)
        func crowd(helper: Helper) async throws {
            try await SimulatedCall.run(configure: { configuration in
                configuration.workerCount = helper == .anotherWorker ? 2 : 1
                configuration.processorCount = 2
            }) { call in
                let speaker = try call.join("speaker")
                let listeners = try (0..<24).map { try call.join("listener-\($0)") }
                let audio = try call.publish("mic", isVideo: false, by: speaker, to: listeners)
                let helped = Count()
                var sent: UInt8 = 0
                try call.wait(
                    "the other thread has helped",
                    sending: {
                        for _ in 0..<16 {
                            sent &+= 1
                            audio.send([sent])
                        }
                        let directory = call.focus.directory
                        Task {
                            var sum = WorkerFigures()
                            for worker in directory.workers.dropFirst() { sum = sum + (await worker.figures()) }
                            for helper in directory.helpers { sum = sum + (await helper.figures()) }
                            helped.value.store(sum.packetsForwarded, ordering: .relaxed)
                        }
                    }
                ) { helped.value.load(ordering: .relaxed) > 0 }
                let last = sent
                try call.wait("all that was sent arrives") {
                    listeners.allSatisfy { $0.media(of: audio.sid).last?.payload == [last] }
                }
                for listener in listeners {
                    let heard = listener.media(of: audio.sid)
                    #expect(isContiguous(heard.map(\.sequence)))
                    #expect(zip(heard, heard.dropFirst()).allSatisfy { $1.payload[0] == $0.payload[0] &+ 1 })
                    #expect(listener.downstream.refused == [])
                }
            }
        }
    }
}
