// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// Finds memberships whose client was in our focus and is gone: it died without a word. Pure: rosters, presence and
/// time go in.
///
/// A membership counts as a ghost only after it was seen together with its participant, so a client that announces
/// itself first, or that publishes elsewhere, is never one.
package struct GhostWatch: Sendable {
    /// A membership and the participant it announces. A client that leaves and comes back is another.
    package struct Watched: Hashable, Sendable {
        package var entry: RosterEntry.ID
        package var joinedAt: UnixMilliseconds
        package var participant: FocusParticipant

        package init(entry: RosterEntry.ID, joinedAt: UnixMilliseconds, participant: FocusParticipant) {
            self.entry = entry
            self.joinedAt = joinedAt
            self.participant = participant
        }
    }

    private struct Absence: Sendable {
        var since: MonotonicTime?
        var attempts = 0
        var nextAttempt = MonotonicTime.zero
    }

    /// A client that says goodbye properly sends its leave beside; a full reconnect takes a moment, too.
    package static let graceMilliseconds: UInt64 = 2_000
    private static let repetitionMilliseconds: UInt64 = 10_000
    private static let maximumAttempts = 5

    private var seen: [Watched: Absence] = [:]

    package init() {}

    /// - Parameters:
    ///   - members: Every membership there is.
    ///   - isPresent: Whether the focus knows the participant now.
    /// - Returns: The ghosts to be cleared now; one that stays is returned again a few times.
    package mutating func ghosts(
        among members: [Watched], at now: MonotonicTime, isPresent: (FocusParticipant) -> Bool,
    ) -> [Watched] {
        var next: [Watched: Absence] = [:]
        var ghosts: [Watched] = []
        for member in members {
            if isPresent(member.participant) {
                next[member] = Absence()
                continue
            }
            guard var absence = seen[member] else { continue }
            let since = absence.since ?? now
            absence.since = since
            if now.milliseconds(since: since) >= Self.graceMilliseconds, now >= absence.nextAttempt,
                absence.attempts < Self.maximumAttempts
            {
                absence.attempts += 1
                absence.nextAttempt = now.advanced(byMilliseconds: Self.repetitionMilliseconds)
                ghosts.append(member)
            }
            next[member] = absence
        }
        seen = next
        return ghosts
    }
}
