// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Takes delayed leaves over from clients that ask for it: checks that the event is theirs and ends this call.
package struct DelayedLeaveDelegation: Sendable {
    private let keeper: DelayedLeaveKeeper
    private let events: any DelayedEventManaging

    /// The homeserver's own limit is a day by default; longer ones need no help.
    private static let maximumDelay: UInt64 = 86_400_000
    /// What a leave may look like from outside: the membership types, or the envelope of an encrypted one.
    private static let leaveTypes: Set<String> = [
        SessionStateMembership.eventType, "org.matrix.msc4143.rtc.member", "m.rtc.member", "m.room.encrypted",
    ]

    package init(keeper: DelayedLeaveKeeper, events: any DelayedEventManaging) {
        self.keeper = keeper
        self.events = events
    }

    package func take(
        _ wish: TokenRequest.Delegation, of participant: FocusParticipant, room: RoomID, user: UserID,
    ) async throws(TokenExchangeRefusal) {
        guard await events.canReach(user.serverName) else { throw .clientAPIUnknown }
        var delay = wish.delay
        switch await events.lookUp(wish.delayID, of: user) {
        case nil: break
        case .unknown: throw .delayedEventUnknown
        case .event(let found, let type, let foundDelay):
            guard found == room, Self.leaveTypes.contains(type) else { throw .delayedEventUnknown }
            delay = foundDelay ?? delay
        }
        guard let delay, delay > 0 else { throw .missingField("delay_timeout") }
        let order = DelayedLeave.Order(
            delayID: wish.delayID, delay: min(delay, Self.maximumDelay), participant: participant, room: room,
            user: user)
        let isTaken: Bool
        do {
            isTaken = try await keeper.take(order)
        } catch {
            throw .delegationFailed
        }
        if !isTaken { throw .rateLimited(retryAfterMilliseconds: 60_000) }
    }
}
