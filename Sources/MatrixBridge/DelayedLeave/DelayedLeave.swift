// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// A client's delayed leave event (MSC4140) that we hold back while its participant is in the call, and let go when the
/// participant is gone (MSC4195, "delegation of delayed leave events").
///
/// A pure machine: presence, time and answers go in, requests come out.
///
///     waiting ── active ──▶ connected ── gone ──▶ leaving ── sent, or sent already ──▶ over
///        │ min(1 h, delay) ─────────────────────────▲           │ no success for the whole delay ──▶ over
///        │ came and went without media ──▶ over       connected ── restart finds no event ──▶ over
package struct DelayedLeave: Sendable {
    /// What a client handed over.
    package struct Order: Equatable, Sendable {
        package var delayID: String
        /// Milliseconds from a restart until the homeserver sends the event by itself.
        package var delay: UInt64
        package var participant: FocusParticipant
        package var room: RoomID
        package var user: UserID

        package init(delayID: String, delay: UInt64, participant: FocusParticipant, room: RoomID, user: UserID) {
            self.delayID = delayID
            self.delay = delay
            self.participant = participant
            self.room = room
            self.user = user
        }
    }

    package enum Request: String, Equatable, Sendable {
        case restart
        case send
    }

    /// How the homeserver answered a request.
    package enum Answer: Equatable, Sendable {
        case done
        /// There is no such event any more: it was sent or cancelled.
        case gone
        /// It will never do.
        case refused
        /// Trying later may help.
        case failed(retryAfter: UInt64?)
    }

    package enum Outcome: String, CaseIterable, Sendable {
        /// The leave was sent by us, or had been.
        case sent
        /// The homeserver has sent the leave while the participant was there, or will: nothing is left to do.
        case lost
        /// The client came and went before it had media; the homeserver's own clock decides.
        case neverConnected
        /// Another delegation of the same participant took its place.
        case replaced
    }

    private enum State: Equatable {
        case waiting
        case connected
        case leaving(since: MonotonicTime, failures: Int)
        case over(Outcome)
    }

    private static let longestWait: UInt64 = 3_600_000
    /// A send that fails is repeated for so long at least.
    private static let leastRepetition: UInt64 = 1_000
    private static let retry = RetryPolicy(firstDelayMilliseconds: 1_000, factor: 1.5, maximumDelayMilliseconds: 60_000)

    package let order: Order
    private var state = State.waiting
    private let began: MonotonicTime
    private var sawJoining = false
    /// When the homeserver last took a restart.
    private var restartedAt: MonotonicTime
    private var nextRequestAt: MonotonicTime
    /// A request is under way.
    private var isBusy = false

    /// - Parameter isResumed: The order comes from before a restart of ours: its event is kept alive at once, since the
    ///   client needs a moment to come back.
    package init(_ order: Order, isResumed: Bool = false, at now: MonotonicTime) {
        self.order = order
        self.began = now
        self.restartedAt = now
        self.nextRequestAt = isResumed ? now : now.advanced(byMilliseconds: order.delay)
        self.keepsWaiting = isResumed
    }

    /// Whether restarts are due although nobody is connected.
    private var keepsWaiting: Bool

    /// Nil while there is something left to do.
    package var outcome: Outcome? {
        if case .over(let outcome) = state { outcome } else { nil }
    }

    /// What the focus knows of the participant now.
    package mutating func observe(_ presence: ParticipantPresence?, at now: MonotonicTime) {
        switch (state, presence) {
        case (.waiting, .some(let presence)) where presence.wasActive:
            state = .connected
            keepsWaiting = false
            nextRequestAt = now
        case (.waiting, .some): sawJoining = true
        case (.waiting, nil) where sawJoining: state = .over(.neverConnected)
        case (.waiting, nil):
            guard now.milliseconds(since: began) >= min(Self.longestWait, order.delay) else { return }
            leave(at: now)
        case (.connected, nil): leave(at: now)
        case (.connected, .some), (.leaving, _), (.over, _): return
        }
    }

    /// The request that is due; answer it with ``answered(_:to:at:random:)``.
    package mutating func nextRequest(at now: MonotonicTime) -> Request? {
        guard !isBusy, now >= nextRequestAt else { return nil }
        let request: Request
        switch state {
        case .waiting where keepsWaiting, .connected: request = .restart
        case .leaving: request = .send
        case .waiting, .over: return nil
        }
        isBusy = true
        return request
    }

    /// - Parameter random: 0..<1, for the spread of repetitions.
    package mutating func answered(_ answer: Answer, to request: Request, at now: MonotonicTime, random: Double) {
        isBusy = false
        switch (state, request, answer) {
        case (.over, _, _): return
        case (.leaving, .send, .done), (.leaving, .send, .gone): state = .over(.sent)
        case (_, .restart, .done):
            restartedAt = now
            if case .leaving = state { return }
            keepsWaiting = false
            nextRequestAt = now.advanced(byMilliseconds: order.delay / 5 * 4)
        case (_, .restart, .gone), (_, _, .refused): state = .over(.lost)
        case (.leaving(let since, let failures), _, .failed(let wait)):
            failed(failures, since: since, wait, at: now, random: random)
        case (_, _, .failed(let wait)):
            guard now.milliseconds(since: restartedAt) < order.delay else { return state = .over(.lost) }
            nextRequestAt = now.advanced(byMilliseconds: wait ?? 1_000)
        case (_, .send, .done), (_, .send, .gone): state = .over(.sent)
        }
    }

    private mutating func leave(at now: MonotonicTime) {
        state = .leaving(since: now, failures: 0)
        nextRequestAt = now
    }

    /// Once the homeserver's own clock has run out there is nothing left to send; but clocks differ, and one failure is
    /// none.
    private mutating func failed(
        _ failures: Int, since: MonotonicTime, _ wait: UInt64?, at now: MonotonicTime, random: Double,
    ) {
        let isOver = now.milliseconds(since: restartedAt) >= min(Self.longestWait, order.delay)
        guard !isOver || now.milliseconds(since: since) < Self.leastRepetition else { return state = .over(.lost) }
        state = .leaving(since: since, failures: failures + 1)
        nextRequestAt = now.advanced(
            byMilliseconds: Self.retry.delayMilliseconds(failures: failures + 1, requested: wait, random: random))
    }
}
