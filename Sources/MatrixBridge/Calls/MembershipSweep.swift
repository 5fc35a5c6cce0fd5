// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

/// Looks regularly whether those in calls of rooms that send us no events are still members, with the levels they had.
///
/// Rooms with our bot need no looking: their events come. A homeserver that fails removes nobody.
package struct MembershipSweep: Sendable {
    package static let intervalMilliseconds: UInt64 = 30_000

    private let membership: any MembershipChecking
    private let issued: IssuedIdentities
    private let focus: any FocusControlling
    private let enforcement: CallEnforcement
    private let clock: ServiceClock

    package init(
        membership: any MembershipChecking, issued: IssuedIdentities, focus: any FocusControlling,
        enforcement: CallEnforcement, clock: ServiceClock,
    ) {
        self.membership = membership
        self.issued = issued
        self.focus = focus
        self.enforcement = enforcement
        self.clock = clock
    }

    /// Works until the task is cancelled.
    package func run() async {
        while (try? await clock.sleep(Self.intervalMilliseconds)) != nil {
            await sweep()
        }
    }

    func sweep() async {
        var present: [String: [String: ParticipantPresence]] = [:]
        for holder in issued.holders() where membership.version(of: holder.room) == 0 {
            var isPresent = false
            for participant in holder.issues.map(\.participant) {
                if present[participant.room] == nil {
                    present[participant.room] = await focus.presence(inRoom: participant.room)
                }
                isPresent = isPresent || present[participant.room]?[participant.identity] != nil
            }
            // Who is not there now is asked about with the next token.
            guard isPresent else { continue }
            switch await membership.membership(of: holder.user, in: holder.room) {
            case .notJoined: await enforcement.removeUser(holder.user, from: holder.room)
            case .joined, .notVisible:
                guard let facts = try? await membership.facts(of: holder.room, for: holder.user) else { continue }
                await enforcement.adjustRights(of: holder, by: facts)
            case .lookupFailed: continue
            }
        }
    }
}
