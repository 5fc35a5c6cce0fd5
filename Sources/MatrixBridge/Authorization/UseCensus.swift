// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU

/// Who has how much in use, as far as it matters for one more token.
struct UseCensus: Sendable {
    /// By room of the focus, then by identity.
    typealias Presence = [String: [String: ParticipantPresence]]

    let policy: AccessPolicy
    let issued: IssuedIdentities
    let focus: any FocusControlling

    /// Who is there of those that count, and whether there is room for one more in the call.
    func presence(for wanted: AccessLimits.Use) async throws(TokenExchangeRefusal) -> Presence {
        var presence: Presence = [:]
        for room in Set(holders(for: wanted).flatMap(\.issues).map(\.participant.room)) {
            presence[room] = await focus.presence(inRoom: room)
        }
        let limit = policy.limits.participantsPerRoom
        guard limit > 0 else { return presence }
        let there = await focus.presence(inRoom: wanted.participant.room)
        guard there[wanted.participant.identity] != nil || there.count < limit else {
            throw .limitReached(.participantsOfRoom, limit: limit)
        }
        return presence
    }

    /// What must be made void for the token.
    func verdict(
        on wanted: AccessLimits.Use, _ presence: Presence,
    ) throws(TokenExchangeRefusal) -> [AccessLimits.Use] {
        let uses = holders(for: wanted).flatMap { holder in
            holder.issues.map { issue in
                AccessLimits.Use(
                    participant: issue.participant, user: holder.user, device: issue.device, issuedAt: issue.issuedAt,
                    isPresent: presence[issue.participant.room]?[issue.participant.identity] != nil)
            }
        }
        return try policy.limits.verdict(
            on: wanted, among: uses, localServer: policy.localServer, at: wanted.issuedAt)
    }

    private func holders(for wanted: AccessLimits.Use) -> [IssuedIdentities.Holder] {
        let server = wanted.user.serverName
        return policy.limits.boundsHomeserver(server, localServer: policy.localServer)
            ? issued.holders(ofServer: server) : issued.holders(of: wanted.user)
    }
}
