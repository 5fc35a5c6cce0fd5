// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How many offers a worker makes in one tick. A new track makes one to everybody in its room, of a section for each
/// track there: too much at once, for no media is read meanwhile.
///
/// A newcomer's first offer is never put off, since its connection waits for it. The others that did not fit have the
/// next ticks for themselves, before offers that came due later: who is asked again and again cannot starve the rest.
struct OfferAllowance {
    static let sectionsOfTick = 400

    private var sections = 0
    private var isShort = false
    private var lastTick = MonotonicTime.zero
    /// While some wait: only what was due by then is offered.
    private var waitingSince: MonotonicTime?

    mutating func tickBegins(at now: MonotonicTime) {
        waitingSince = isShort ? waitingSince ?? lastTick : nil
        isShort = false
        sections = Self.sectionsOfTick
        lastTick = now
    }

    /// True when an offer of so many sections may be made now; otherwise it stays due.
    mutating func take(sections count: Int, dueAt due: MonotonicTime, isFirst: Bool) -> Bool {
        if !isFirst {
            if let waitingSince, due > waitingSince { return false }
            guard sections > 0 else {
                isShort = true
                return false
            }
        }
        sections -= count
        return true
    }
}
