// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// All one-to-one calls with us: which invites are answered, and which call an event belongs to. Sans-IO: see
/// ``LegacyCall``; times are passed in.
///
/// What a stranger can make it keep is bounded: calls by ``LegacyCallLimits``, candidates by ``EarlyCandidates``, ended
/// calls by ``RecentCalls``.
package struct LegacyCallTable: Sendable {
    /// One call for people to read.
    package struct Entry: Equatable, Sendable {
        package let key: LegacyCallKey
        package let peer: UserID
        package let startedAt: UnixMilliseconds
        package let isMediaUp: Bool
    }

    package let me: UserID
    private let limits: LegacyCallLimits
    private var calls: [LegacyCallKey: LegacyCall] = [:]
    private var early = EarlyCandidates()
    private var recent = RecentCalls()

    package init(me: UserID, limits: LegacyCallLimits = LegacyCallLimits()) {
        self.me = me
        self.limits = limits
    }

    /// Oldest first.
    package var entries: [Entry] {
        calls.values.sorted { ($0.startedAt, $0.end.key.callID) < ($1.startedAt, $1.end.key.callID) }.map {
            Entry(key: $0.end.key, peer: $0.peer, startedAt: $0.startedAt, isMediaUp: $0.isMediaUp)
        }
    }

    package var isEmpty: Bool { calls.isEmpty }

    /// When ``advance(to:)`` has something to do; nil when never.
    package var nextDeadline: UnixMilliseconds? { calls.values.map(\.deadline).min() }

    // MARK: Events

    /// Takes the events of one transaction. A call that begins and ends in it does not ring.
    ///
    /// - Parameters:
    ///   - place: what is known about a room; nil for one we do not see.
    ///   - partyID: a fresh one for each call.
    ///   - admit: asked once for each invite that deserves an answer of one kind or the other; nil lets it in,
    ///     ``LegacyCallRefusal/rateLimited`` stays without any.
    package mutating func receive(
        _ events: [LegacyCallEvent], at now: UnixMilliseconds, place: (RoomID) -> LegacyCallPlace?,
        partyID: () -> String, admit: (CallInvite) -> LegacyCallRefusal?,
    ) -> [LegacyCallAction] {
        var actions: [LegacyCallAction] = []
        for event in events where event.header.sender != me && calls[event.header.key] == nil {
            if case .hangup(let hangup) = event, refusal(of: hangup.header, in: place(hangup.header.roomID)) == nil {
                recent.insert(event.header.key)
            }
        }
        for event in events {
            guard event.header.sender != me else {
                actions.append(.refused(.ownEvent))
                continue
            }
            if case .invite(let invite) = event, calls[invite.header.key] == nil {
                take(invite, at: now, place: place, partyID: partyID, admit: admit, into: &actions)
            } else {
                follow(event, at: now, place: place, into: &actions)
            }
        }
        return actions
    }

    private mutating func take(
        _ invite: CallInvite, at now: UnixMilliseconds, place: (RoomID) -> LegacyCallPlace?, partyID: () -> String,
        admit: (CallInvite) -> LegacyCallRefusal?, into actions: inout [LegacyCallAction],
    ) {
        let key = invite.header.key
        if let refusal = silence(about: invite, in: place(key.roomID), at: now) {
            return actions.append(.refused(refusal))
        }
        // One call with a caller in a room. Of two that cross the smaller id counts, of two of the caller's the later.
        let before = calls.values.filter { $0.end.key.roomID == key.roomID && $0.peer == invite.header.sender }
        if before.contains(where: { $0.isInviting && $0.end.key.callID < key.callID }) {
            recent.insert(key)
            return actions.append(.refused(.outranked))
        }
        if let refusal = admit(invite) ?? capacityRefusal(for: invite.header.sender, besides: before) {
            guard refusal != .rateLimited else { return actions.append(.refused(refusal)) }
            let end = LegacyCallEnd(key: key, partyID: partyID(), version: invite.header.version)
            recent.insert(key)
            actions.append(.send(LegacyCall.refusal(to: invite.header.version, .userBusy), end))
            return actions.append(.refused(refusal))
        }
        for call in before { finish(call.end.key, .replaced, into: &actions) }
        calls[key] = LegacyCall(answering: invite, partyID: partyID(), limits: limits, at: now, into: &actions)
        let candidates = early.take(of: .init(invite.header), at: now)
        if !candidates.isEmpty { actions.append(.addCandidates(key, candidates)) }
    }

    /// Why there is no room for one more call of a user; nil when there is.
    private func capacityRefusal(for peer: UserID, besides ending: [LegacyCall]) -> LegacyCallRefusal? {
        guard calls.count - ending.count < limits.maximumCalls else { return .tooManyCalls }
        let others = calls.values.filter { call in !ending.contains { $0.end.key == call.end.key } }
        let ofUser = others.count { $0.peer == peer }
        let ofServer = others.count { $0.peer.serverName == peer.serverName }
        if ofUser >= limits.maximumCallsOfUser { return .tooManyCallsOfUser }
        let isFull = peer.serverName != me.serverName && ofServer >= limits.maximumCallsOfOtherServer
        return isFull ? .tooManyCallsOfUser : nil
    }

    /// Why nobody is told anything about an invite; nil when it deserves an answer of one kind or the other.
    private func silence(
        about invite: CallInvite, in place: LegacyCallPlace?, at now: UnixMilliseconds,
    ) -> LegacyCallRefusal? {
        if recent.contains(invite.header.key) { return .callOver }
        if invite.remainingLifetime(at: now) <= limits.leastLifetime { return .inviteTooOld }
        if let invitee = invite.invitee, invitee != me { return .otherInvitee }
        if let refusal = refusal(of: invite.header, in: place) { return refusal }
        return limits.maximumCalls == 0 ? .tooManyCalls : nil
    }

    /// Why an event of no call that runs means nothing to us, by where it comes from.
    private func refusal(of header: LegacyCallHeader, in place: LegacyCallPlace?) -> LegacyCallRefusal? {
        guard let place else { return .unknownRoom }
        if place.isEncrypted, !header.isEncrypted { return .notEncrypted }
        return refusal(of: place)
    }

    private mutating func follow(
        _ event: LegacyCallEvent, at now: UnixMilliseconds, place: (RoomID) -> LegacyCallPlace?,
        into actions: inout [LegacyCallAction],
    ) {
        let key = event.header.key
        if var call = calls[key] {
            // A server must not end, or redirect, what only members may.
            if place(key.roomID)?.isEncrypted == true, !event.header.isEncrypted {
                return actions.append(.refused(.notEncrypted))
            }
            let stop = call.receive(event, early: &early, at: now, into: &actions)
            calls[key] = call
            if let stop { finish(key, stop, into: &actions) }
        } else if case .candidates(let candidates) = event, !recent.contains(key) {
            if let refusal = refusal(of: candidates.header, in: place(key.roomID)) {
                return actions.append(.refused(refusal))
            }
            guard !early.keep(candidates.candidates, of: .init(candidates.header), at: now) else { return }
            actions.append(.refused(.tooManyEarlyCandidates))
        } else {
            actions.append(.refused(recent.contains(key) ? .callOver : .unknownCall))
        }
    }

    /// Somebody left a room, ourselves perhaps.
    package mutating func left(_ user: UserID, _ room: RoomID) -> [LegacyCallAction] {
        end(.peerLeftRoom) { [me] in $0.end.key.roomID == room && (user == me || $0.peer == user) }
    }

    // MARK: The media side

    /// The media side made the answer that it was asked for.
    package mutating func answered(
        _ key: LegacyCallKey, with description: LegacyCallMessage.Description, at now: UnixMilliseconds,
    ) -> [LegacyCallAction] {
        var actions: [LegacyCallAction] = []
        // The caller does not wait any more.
        if let call = calls[key], call.overdue == .inviteTimeout, call.deadline <= now {
            finish(key, .inviteTimeout, into: &actions)
        }
        calls[key]?.answered(with: description, at: now, into: &actions)
        return actions
    }

    /// The media side cannot answer.
    package mutating func cannotAnswer(_ key: LegacyCallKey) -> [LegacyCallAction] {
        end(.mediaRefused) { $0.end.key == key }
    }

    package mutating func mediaCameUp(_ key: LegacyCallKey) {
        calls[key]?.mediaCameUp()
    }

    package mutating func mediaWentDown(_ key: LegacyCallKey) -> [LegacyCallAction] {
        if calls[key]?.isClosing == true { return [] }
        return end(calls[key]?.isMediaUp == true ? .connectionLost : .connectionFailed) { $0.end.key == key }
    }

    /// The peer closed the connection, as clients do that hang up: time for the event that says so.
    package mutating func mediaWasClosed(_ key: LegacyCallKey, at now: UnixMilliseconds) {
        calls[key]?.mediaWasClosed(at: now)
    }

    /// The homeserver takes no answer, or no invite, for good.
    package mutating func homeserverRefused(_ key: LegacyCallKey) -> [LegacyCallAction] {
        end(.refusedByHomeserver) { $0.end.key == key }
    }

    // MARK: What we want, and time

    /// Why we cannot call somebody now; nil when we can.
    package func refusalToCall(_ peer: UserID, in room: RoomID, _ place: LegacyCallPlace) -> LegacyCallRefusal? {
        if let refusal = refusal(of: place) { return refusal }
        return capacityRefusal(for: peer, besides: [])
    }

    /// Why there are no calls in a place at all.
    private func refusal(of place: LegacyCallPlace) -> LegacyCallRefusal? {
        if place.isPublic { return .publicRoom }
        return place.joinedCount > limits.maximumJoined ? .crowdedRoom : nil
    }

    /// Calls somebody, unless that one calls us already.
    package mutating func invite(
        _ peer: UserID, from end: LegacyCallEnd, offering description: LegacyCallMessage.Description,
        lifetime: Milliseconds, at now: UnixMilliseconds,
    ) -> [LegacyCallAction] {
        if let refusal = capacityRefusal(for: peer, besides: []) { return [.refused(refusal)] }
        var actions: [LegacyCallAction] = []
        calls[end.key] = LegacyCall(
            inviting: peer, end: end, offer: description, lifetime: lifetime, limits: limits, at: now, into: &actions)
        return actions
    }

    /// Ends one call.
    package mutating func hangUp(_ key: LegacyCallKey) -> [LegacyCallAction] {
        end(.ended) { $0.end.key == key }
    }

    /// Ends the calls of a room, or all.
    package mutating func hangUp(in room: RoomID? = nil) -> [LegacyCallAction] {
        end(.ended) { room == nil || $0.end.key.roomID == room }
    }

    package mutating func advance(to now: UnixMilliseconds) -> [LegacyCallAction] {
        var actions: [LegacyCallAction] = []
        for call in calls.values where call.deadline <= now { finish(call.end.key, call.overdue, into: &actions) }
        return actions
    }

    private mutating func end(_ stop: LegacyCallStop, where isMeant: (LegacyCall) -> Bool) -> [LegacyCallAction] {
        var actions: [LegacyCallAction] = []
        for call in calls.values where isMeant(call) { finish(call.end.key, stop, into: &actions) }
        return actions
    }

    private mutating func finish(
        _ key: LegacyCallKey, _ stop: LegacyCallStop, into actions: inout [LegacyCallAction],
    ) {
        guard let call = calls.removeValue(forKey: key) else { return }
        recent.insert(key)
        if let message = call.farewell(stop) { actions.append(.send(message, call.end)) }
        actions.append(.stop(call.end, stop))
    }
}
