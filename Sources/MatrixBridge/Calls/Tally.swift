// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers

/// Counts how often each reason happened; readable and writable from any thread.
package final class Tally<Reason: Hashable & Sendable>: Sendable {
    private let counts = NIOLockedValueBox<[Reason: UInt64]>([:])

    package init() {}

    package subscript(reason: Reason) -> UInt64 {
        counts.withLockedValue { $0[reason] ?? 0 }
    }

    /// All reasons that happened.
    package var all: [Reason: UInt64] { counts.withLockedValue { $0 } }

    package func count(_ reason: Reason, times: UInt64 = 1) {
        counts.withLockedValue { $0[reason, default: 0] &+= times }
    }
}
