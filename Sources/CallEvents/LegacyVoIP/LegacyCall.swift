// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One one-to-one call between us and one user (Matrix specification, "Voice over IP"). Sans-IO: events, time and what
/// the media side says go in, ``LegacyCallAction``s come out.
///
///     callee:  ringing ── our answer ──▶ answered ── select_answer, or media ──▶ connected
///     caller:  inviting ── their answer ──▶ answered ── media ──▶ connected
///
/// A method that returns a ``LegacyCallStop`` has ended the call; ``LegacyCallTable`` does the rest.
struct LegacyCall: Sendable {
    enum Role: Sendable {
        case callee
        case caller
    }

    private enum Phase: Sendable {
        /// They invited us; the media side makes its answer.
        case ringing
        /// We invited them.
        case inviting
        case answered
    }

    let role: Role
    let end: LegacyCallEnd
    let peer: UserID
    let startedAt: UnixMilliseconds
    private let limits: LegacyCallLimits
    private var phase: Phase
    /// The version the peer speaks; ours is in ``end``.
    private var peerVersion: LegacyCallHeader.Version
    /// The device the call is with; nil for version 0, and while nobody has answered our invite.
    private var peerPartyID: String?
    private var isChosen = false
    private(set) var isMediaUp = false
    private var isMakingAnswer = false
    /// A newer offer than the one that is being answered.
    private var waitingOffer: String?
    private var offers = OfferAllowance()
    /// The peer closed its connection, and its hang-up is on its way.
    private(set) var isClosing = false
    private(set) var deadline: UnixMilliseconds

    /// A call that we answer.
    init(
        answering invite: CallInvite, partyID: String, limits: LegacyCallLimits, at now: UnixMilliseconds,
        into actions: inout [LegacyCallAction],
    ) {
        role = .callee
        phase = .ringing
        let version = invite.header.version
        end = LegacyCallEnd(key: invite.header.key, partyID: partyID, version: version)
        peer = invite.header.sender
        peerVersion = version
        peerPartyID = version == .zero ? nil : invite.header.partyID
        startedAt = now
        self.limits = limits
        deadline = EventTime.sum(now, invite.remainingLifetime(at: now))
        isMakingAnswer = true
        actions.append(.makeAnswer(end.key, offer: invite.offer.sdp))
    }

    /// A call that we make.
    init(
        inviting peer: UserID, end: LegacyCallEnd, offer: LegacyCallMessage.Description, lifetime: Milliseconds,
        limits: LegacyCallLimits, at now: UnixMilliseconds, into actions: inout [LegacyCallAction],
    ) {
        role = .caller
        phase = .inviting
        self.end = end
        self.peer = peer
        peerVersion = end.version
        startedAt = now
        self.limits = limits
        deadline = EventTime.sum(now, lifetime)
        actions.append(.send(.invite(offer, invitee: peer, lifetime: lifetime), end))
    }

    /// Nobody has taken our invite.
    var isInviting: Bool { phase == .inviting }

    /// Both sides know each other: only the one party of the peer can end it.
    var isConnected: Bool { isChosen || isMediaUp }

    // MARK: What the peer says

    mutating func receive(
        _ event: LegacyCallEvent, early: inout EarlyCandidates, at now: UnixMilliseconds,
        into actions: inout [LegacyCallAction],
    ) -> LegacyCallStop? {
        guard event.header.sender == peer else {
            actions.append(.refused(.otherUser))
            return nil
        }
        switch event {
        case .invite: actions.append(.refused(.repeatedInvite))
        case .candidates(let event): take(event, early: &early, at: now, into: &actions)
        case .answer(let answer): take(answer, early: &early, at: now, into: &actions)
        case .selectAnswer(let event): return take(event, into: &actions)
        case .reject:
            if isInviting { return .peerHungUp }
            actions.append(.refused(.outOfTurn))
        case .negotiate(let event): return take(event, at: now, into: &actions)
        case .hangup(let hangup):
            // While it rings, any device of the caller may give up; a call that stands is between two parties.
            if !isConnected || isFromParty(hangup.header) { return .peerHungUp }
            actions.append(.refused(.otherParty))
        case .streamMetadataChanged, .assertedIdentity: break
        }
        return nil
    }

    private func isFromParty(_ header: LegacyCallHeader) -> Bool {
        peerVersion == .zero || header.partyID == peerPartyID
    }

    private mutating func take(
        _ event: CallCandidates, early: inout EarlyCandidates, at now: UnixMilliseconds,
        into actions: inout [LegacyCallAction],
    ) {
        if isInviting {
            // Which device will answer is not known yet.
            guard early.keep(event.candidates, of: .init(event.header), at: now) else {
                return actions.append(.refused(.tooManyEarlyCandidates))
            }
        } else if isFromParty(event.header) {
            actions.append(.addCandidates(end.key, event.candidates))
        } else {
            actions.append(.refused(.otherParty))
        }
    }

    private mutating func take(
        _ answer: CallAnswer, early: inout EarlyCandidates, at now: UnixMilliseconds,
        into actions: inout [LegacyCallAction],
    ) {
        guard isInviting else { return actions.append(.refused(.outOfTurn)) }
        phase = .answered
        isChosen = true
        peerVersion = answer.header.version
        peerPartyID = answer.header.partyID
        deadline = EventTime.sum(now, limits.connectionTimeout)
        actions.append(.takeAnswer(end.key, answer: answer.answer.sdp))
        if peerVersion == .one, let party = peerPartyID { actions.append(.send(.selectAnswer(partyID: party), end)) }
        let candidates = early.take(of: .init(answer.header), at: now)
        if !candidates.isEmpty { actions.append(.addCandidates(end.key, candidates)) }
    }

    private mutating func take(
        _ event: CallSelectAnswer, into actions: inout [LegacyCallAction],
    ) -> LegacyCallStop? {
        let refusal: LegacyCallRefusal? =
            if end.version == .zero {
                .notInVersionZero
            } else if !isFromParty(event.header) {
                .otherParty
            } else if role == .caller || isChosen {
                .outOfTurn
            } else { nil }
        if let refusal {
            actions.append(.refused(refusal))
            return nil
        }
        guard event.selectedPartyID == end.partyID else { return .answeredElsewhere }
        if phase == .answered { isChosen = true } else { actions.append(.refused(.outOfTurn)) }
        return nil
    }

    /// Offers only: we make none in a running call, so there is nothing to answer and nothing that collides.
    private mutating func take(
        _ event: CallNegotiate, at now: UnixMilliseconds, into actions: inout [LegacyCallAction],
    ) -> LegacyCallStop? {
        let refusal: LegacyCallRefusal? =
            if peerVersion == .zero {
                .notInVersionZero
            } else if !isFromParty(event.header) {
                .otherParty
            } else if phase != .answered || isClosing || event.description.kind == .answer {
                .outOfTurn
            } else { nil }
        if let refusal {
            actions.append(.refused(refusal))
            return nil
        }
        guard offers.spend(at: now) else { return .tooManyOffers }
        if isMakingAnswer {
            waitingOffer = event.description.sdp
        } else {
            isMakingAnswer = true
            actions.append(.makeAnswer(end.key, offer: event.description.sdp))
        }
        return nil
    }

    // MARK: What the media side says

    mutating func answered(
        with description: LegacyCallMessage.Description, at now: UnixMilliseconds,
        into actions: inout [LegacyCallAction],
    ) {
        guard isMakingAnswer else { return }
        isMakingAnswer = false
        if phase == .ringing {
            phase = .answered
            deadline = EventTime.sum(now, limits.connectionTimeout)
            actions.append(.send(.answer(description), end))
            if end.version == .one { actions.append(.send(.endOfCandidates, end)) }
        } else {
            actions.append(.send(.negotiate(.answer, description), end))
        }
        if let offer = waitingOffer {
            waitingOffer = nil
            isMakingAnswer = true
            actions.append(.makeAnswer(end.key, offer: offer))
        }
    }

    mutating func mediaCameUp() {
        guard !isMediaUp else { return }
        isMediaUp = true
        deadline = EventTime.sum(startedAt, limits.maximumDuration)
    }

    /// Clients close their connection at once and say so by an event, which may take longer.
    mutating func mediaWasClosed(at now: UnixMilliseconds) {
        guard !isClosing else { return }
        isClosing = true
        deadline = min(deadline, EventTime.sum(now, limits.hangupGrace))
    }

    // MARK: Time

    /// Why the call ends now that its deadline is over.
    var overdue: LegacyCallStop {
        if isClosing { return .peerHungUp }
        if phase != .answered { return .inviteTimeout }
        return isMediaUp ? .tooLong : .connectionFailed
    }

    /// What the peer is told about the end; nil when it knows, or does not wait for us.
    func farewell(_ stop: LegacyCallStop) -> LegacyCallMessage? {
        guard let reason = stop.hangup else { return nil }
        guard phase == .ringing else { return .hangup(reason) }
        // A caller whose invite rang out hangs up by itself.
        if stop == .inviteTimeout { return nil }
        return Self.refusal(to: end.version, reason)
    }

    /// How a call is turned down that was not answered. Version 0 knows only the hang-up.
    static func refusal(to version: LegacyCallHeader.Version, _ reason: CallHangup.Reason) -> LegacyCallMessage {
        version == .zero ? .hangup(reason) : .reject(reason)
    }
}
