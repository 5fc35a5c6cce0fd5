// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Synchronization
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("One room on two workers")
    struct LargeRoom {
        private final class Count: Sendable {
            let value = Atomic<UInt64>(0)
        }

        @Test("a worker without rooms helps with a crowd, and every packet arrives once and in order")
        func crowd() async throws {
            try await SimulatedCall.run(configure: { $0.workerCount = 2 }) { call in
                let speaker = try call.join("speaker")
                let listeners = try (0..<24).map { try call.join("listener-\($0)") }
                let audio = try call.publish("mic", isVideo: false, by: speaker, to: listeners)
                let helped = Count()
                var sent: UInt8 = 0
                try call.wait(
                    "the other worker has helped",
                    sending: {
                        for _ in 0..<16 {
                            sent &+= 1
                            audio.send([sent])
                        }
                        for worker in call.focus.directory.workers where worker !== call.worker {
                            worker.post { helped.value.store($0.figures().packetsForwarded, ordering: .relaxed) }
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
