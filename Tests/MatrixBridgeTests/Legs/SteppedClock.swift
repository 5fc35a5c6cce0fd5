// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import MatrixBridge
import NIOConcurrencyHelpers

/// Time made by tests, for loops that sleep: it moves when the test says so, and the test goes on when every loop that
/// it woke sleeps again.
final class SteppedClock: Sendable {
    private struct Sleeper {
        var due: UInt64
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var milliseconds: UInt64 = 1_790_000_000_000
        var lastID = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Ids whose tasks were cancelled before they slept.
        var cancelled: Set<Int> = []
        var awaited = 0
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = NIOLockedValueBox(State())

    var clock: ServiceClock {
        ServiceClock(
            monotonic: { [state] in
                MonotonicTime(nanoseconds: state.withLockedValue { $0.milliseconds } * 1_000_000)
            },
            unixMilliseconds: { [state] in Int64(state.withLockedValue { $0.milliseconds }) },
            sleep: { [self] in try await sleep($0) },
        )
    }

    /// Waits until `count` loops sleep.
    func asleep(_ count: Int) async {
        await withCheckedContinuation { continuation in
            state.withLockedValue { state in
                state.awaited = count
                state.waiting = continuation
            }
            resumeIfAsleep()
        }
    }

    /// Moves the time in steps of 50 ms.
    func advance(milliseconds: UInt64, loops: Int) async {
        for _ in 0..<milliseconds / 50 {
            let due = state.withLockedValue { state in
                state.milliseconds += 50
                let now = state.milliseconds
                let due = state.sleepers.filter { $0.value.due <= now }
                for id in due.keys { state.sleepers[id] = nil }
                return due.values
            }
            for sleeper in due { sleeper.continuation.resume() }
            await asleep(loops)
        }
    }

    private func sleep(_ milliseconds: UInt64) async throws {
        let id = state.withLockedValue { state in
            state.lastID += 1
            return state.lastID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLockedValue { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers[id] = Sleeper(due: state.milliseconds + milliseconds, continuation: continuation)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
                resumeIfAsleep()
            }
        } onCancel: {
            let sleeper = state.withLockedValue { state in
                if state.sleepers[id] == nil { state.cancelled.insert(id) }
                return state.sleepers.removeValue(forKey: id)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    private func resumeIfAsleep() {
        let waiting = state.withLockedValue { state in
            guard state.sleepers.count >= state.awaited else { return nil as CheckedContinuation<Void, Never>? }
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }
}
