// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When a membership ends by itself.
package enum MembershipExpiry: Equatable, Sendable, Codable {
    /// A state event: `created_ts` plus `expires`.
    case session(createdAt: UnixMilliseconds, lifetime: Milliseconds)
    /// A sticky event: the time its sender's server gave it, and its duration (MSC4354).
    case sticky(sentAt: UnixMilliseconds, duration: Milliseconds)

    /// The lifetime of a state event that states none: 4 hours.
    package static let defaultSessionLifetime: Milliseconds = 4 * 3_600_000
    /// The longest a sticky event lasts: 1 hour (MSC4354).
    package static let maximumStickyDuration: Milliseconds = 3_600_000
    /// The longest any membership lasts without a new event: 24 hours after it was received.
    ///
    /// NOTE: nothing in MSC3401 bounds `expires`, so one event could stay for centuries. Clients renew theirs every
    /// hour.
    package static let maximumLifetime: Milliseconds = 24 * 3_600_000

    /// The first instant at which the membership no longer counts, if it arrived at `received`.
    package func deadline(receivedAt received: UnixMilliseconds) -> UnixMilliseconds {
        switch self {
        case .session(let createdAt, let lifetime):
            min(EventTime.sum(createdAt, lifetime), EventTime.sum(received, Self.maximumLifetime))
        case .sticky(let sentAt, let duration):
            EventTime.sum(min(received, sentAt), min(duration, Self.maximumStickyDuration))
        }
    }
}
