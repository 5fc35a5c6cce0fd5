// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging

/// Carries what changed in a Matrix room into its running call: who is out, who may still speak.
///
/// Every order may be repeated and may come late; the focus keeps what counts for tokens that were issued before.
package struct CallEnforcement: Sendable {
    /// What participants met, to be counted.
    package enum Measure: String, CaseIterable, Sendable {
        /// Its user left the room, was removed or banned, or deactivated.
        case userLeftRoom
        /// Its membership in the call was redacted.
        case membershipRedacted
        /// The room was closed by a tombstone.
        case roomReplaced
        /// Its user's power level is lower than it was, or the room asks for more.
        case rightsReduced
        /// By a command in the admin room.
        case kickedByCommand
        case endedByCommand
        case rightsRestored
    }

    private let policy: AccessPolicy
    private let focus: any FocusControlling
    private let issued: IssuedIdentities
    private let facts: RoomFactsBook
    private let aliases: RoomAliasBook?
    private let logger: Logger
    package let measures = Tally<Measure>()

    package init(
        policy: AccessPolicy, focus: any FocusControlling, issued: IssuedIdentities, facts: RoomFactsBook,
        aliases: RoomAliasBook? = nil, logger: Logger,
    ) {
        self.policy = policy
        self.focus = focus
        self.issued = issued
        self.facts = facts
        self.aliases = aliases
        self.logger = logger
    }

    /// Takes participants out; their tokens, their resumption and their ICE credentials are void.
    package func remove(_ participants: Set<FocusParticipant>, because measure: Measure) async {
        for participant in participants {
            measures.count(measure)
            await focus.removeParticipant(room: participant.room, identity: participant.identity)
        }
    }

    /// Takes everything out that was issued to a user in a room.
    package func removeUser(_ user: UserID, from room: RoomID, and more: Set<FocusParticipant> = []) async {
        await remove(more.union(issued.remove(user: user, from: room)), because: .userLeftRoom)
    }

    /// Ends the calls of a room.
    ///
    /// - Parameter announced: Participants known from the roster; those with tokens are known here.
    package func endCalls(of room: RoomID, announced: Set<FocusParticipant>, because measure: Measure) async {
        var participants = announced
        for holder in issued.holders(in: room) {
            participants.formUnion(issued.remove(user: holder.user, from: room))
        }
        // First the rooms, so that clients hear that the call is over and not that they were removed from it.
        for name in Set(participants.map(\.room)) {
            _ = await focus.endRoom(named: name)
        }
        await remove(participants, because: measure)
    }

    /// Gives every participant of a room the rights its user has now.
    package func adjustRights(in room: RoomID) async {
        guard let known = facts.facts(of: room) else { return }
        for holder in issued.holders(in: room) { await adjustRights(of: holder, by: known) }
    }

    /// Gives the participants of one user in one room the rights that follow from what is known of the room.
    package func adjustRights(of holder: IssuedIdentities.Holder, by known: RoomFacts) async {
        let policy = policy.inRoom(holder.room, aliases: aliases?.known(of: holder.room) ?? [])
        for issue in holder.issues {
            let rights = policy.rights(of: holder.user, generation: issue.generation, facts: known)
            guard issued.setRights(rights, of: issue.participant, user: holder.user, in: holder.room) else { continue }
            let isLess = issue.rights.map { $0.canPublish && !rights.canPublish } ?? !rights.canPublish
            measures.count(isLess ? .rightsReduced : .rightsRestored)
            logger.info(
                "The rights in a call changed with the power levels of its room",
                metadata: [
                    "matrix.room_id": "\(holder.room)", "matrix.user_id": "\(holder.user)",
                    "publish": "\(rights.canPublish)", "subscribe": "\(rights.canSubscribe)",
                    "data": "\(rights.canPublishData)",
                ])
            await focus.setRights(rights, of: issue.participant)
        }
    }
}
