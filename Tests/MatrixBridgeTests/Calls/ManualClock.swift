// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import MatrixBridge
import NIOConcurrencyHelpers

/// Time made by tests. A sleep returns at once and moves the time; after `maximumSleeps` it ends its task's loop as a
/// cancellation would.
final class ManualClock: Sendable {
    private struct State {
        var milliseconds: UInt64 = 1_790_000_000_000
        var sleeps: [UInt64] = []
    }

    private let state = NIOLockedValueBox(State())
    private let maximumSleeps: Int

    init(maximumSleeps: Int = 0) {
        self.maximumSleeps = maximumSleeps
    }

    var now: Int64 { Int64(state.withLockedValue { $0.milliseconds }) }
    var sleeps: [UInt64] { state.withLockedValue { $0.sleeps } }

    func advance(milliseconds: UInt64) {
        state.withLockedValue { $0.milliseconds += milliseconds }
    }

    var clock: ServiceClock {
        ServiceClock(
            monotonic: { [state] in
                MonotonicTime(nanoseconds: state.withLockedValue { $0.milliseconds } * 1_000_000)
            },
            unixMilliseconds: { [state] in Int64(state.withLockedValue { $0.milliseconds }) },
            sleep: { [state, maximumSleeps] milliseconds in
                let isOver = state.withLockedValue { state in
                    state.sleeps.append(milliseconds)
                    state.milliseconds += milliseconds
                    return state.sleeps.count > maximumSleeps
                }
                if isOver { throw CancellationError() }
            },
        )
    }
}
