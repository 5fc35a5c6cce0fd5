// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How long one sampled packet took from its publisher to a subscriber.
package struct LatencySample: Equatable, Sendable {
    /// Unix time, microseconds.
    package var departure: UInt64
    /// Microseconds.
    package var delay: UInt64
}
