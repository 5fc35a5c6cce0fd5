// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Invites from rooms whose state is not read yet, as after a start: kept until it is, or until they ring no longer.
/// Sans-IO.
package struct HeldInvites: Sendable {
    /// Each has a description of at most 64 KiB.
    package static let maximumCount = 32

    private var invites: [CallInvite] = []

    package init() {}

    package var isEmpty: Bool { invites.isEmpty }

    /// Keeps the invites of unknown rooms, and forgets those that are hung up.
    ///
    /// - Returns: all other events.
    package mutating func take(
        _ events: [LegacyCallEvent], at now: UnixMilliseconds, isKnown: (RoomID) -> Bool,
    ) -> [LegacyCallEvent] {
        events.filter { event in
            let key = event.header.key
            switch event {
            case .invite(let invite) where !isKnown(key.roomID):
                guard invites.count < Self.maximumCount, invite.remainingLifetime(at: now) > 0,
                    !invites.contains(where: { $0.header.key == key })
                else { return true }
                invites.append(invite)
                return false
            case .hangup(let hangup):
                invites.removeAll { $0.header.key == key && $0.header.sender == hangup.header.sender }
                return true
            default: return true
            }
        }
    }

    /// Those whose room is known now, and those that ring no longer.
    package mutating func release(
        at now: UnixMilliseconds, isKnown: (RoomID) -> Bool,
    ) -> [LegacyCallEvent] {
        func isDue(_ invite: CallInvite) -> Bool {
            isKnown(invite.header.roomID) || invite.remainingLifetime(at: now) == 0
        }
        let released = invites.filter(isDue)
        invites.removeAll(where: isDue)
        return released.map { .invite($0) }
    }
}
