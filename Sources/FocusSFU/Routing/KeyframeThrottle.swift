// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Bounds how often a sender is asked for a key frame of one layer, however many receivers want one.
///
/// A wish within the interval is held back and comes due at its end, unless a key frame has answered it by then.
///
///     idle ── wish ──▶ asked ── wish ──▶ asked, held ── interval ──▶ asked
///                                          └── key frame ──▶ asked
package struct KeyframeThrottle: Sendable {
    private let intervalMilliseconds: UInt64
    private var lastRequest: MonotonicTime?
    private var isHeld = false

    package init(intervalMilliseconds: UInt64) {
        self.intervalMilliseconds = intervalMilliseconds
    }

    /// - Returns: true when the sender must be asked now.
    package mutating func keyFrameWanted(at now: MonotonicTime) -> Bool {
        isHeld = true
        return advance(to: now)
    }

    /// A key frame has begun to arrive: what was held back is answered.
    package mutating func keyFrameReceived() {
        isHeld = false
    }

    /// - Returns: true when a wish held back is due: the sender must be asked now.
    package mutating func advance(to now: MonotonicTime) -> Bool {
        guard let nextDeadline, nextDeadline <= now else { return false }
        isHeld = false
        lastRequest = now
        return true
    }

    /// When a wish held back comes due; nil without one.
    package var nextDeadline: MonotonicTime? {
        guard isHeld else { return nil }
        return lastRequest?.advanced(byMilliseconds: intervalMilliseconds) ?? .zero
    }
}
