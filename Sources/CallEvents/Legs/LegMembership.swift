// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Our own membership in a MatrixRTC call: keeps the state event of a leg true, and sees to it that the homeserver
/// takes it back should we die (MSC4140).
///
/// A pure machine: time, wishes, answers and what stands in the room go in, one request at a time comes out.
///
///     schedule leave ─▶ announce ─▶ restart at once ─▶ restart every 10 s, announce again every hour
///           ▲               ▲             │ it has fired      │ overwritten or gone
///           └───────────────┼─────────────┘                   │
///                           └─────────────────────────────────┘
///     leave: send the delayed one now; if that fails, leave in plain words
///
/// Milliseconds without a calendar are of a clock that never jumps.
package struct LegMembership: Sendable {
    /// How long things take; milliseconds.
    package struct Timing: Equatable, Sendable {
        /// From the last restart until the homeserver takes us out.
        package var delay: Milliseconds = 30_000
        package var restartInterval: Milliseconds = 10_000
        /// By how much `expires` grows with each renewal.
        package var lifetime = MembershipExpiry.defaultSessionLifetime
        /// From one renewal to the next: a little less than the hour that clients take.
        package var renewalInterval: Milliseconds = 3_595_000
        /// How long an announcement may take to appear in the room before it is made again.
        package var appearance: Milliseconds = 30_000

        package init() {}
    }

    package enum Request: Equatable, Sendable {
        /// A leave that the homeserver sends by itself after the delay.
        case scheduleLeave(delay: Milliseconds)
        case announce(createdAt: UnixMilliseconds, expires: Milliseconds)
        /// Begin the delay anew.
        case restart(delayID: String)
        /// Send the delayed leave now.
        case sendLeave(delayID: String)
        /// An empty state event.
        case leave
    }

    /// How the homeserver answered.
    package enum Answer: Equatable, Sendable {
        case scheduled(delayID: String)
        case announced(EventID)
        case done
        /// There are no delayed events here.
        case unsupported
        /// Nil when the homeserver does not say what it permits.
        case delayTooLong(maximum: Milliseconds?)
        /// There is no such delayed event any more.
        case gone
        /// Too many requests; nil when the homeserver does not say how long to wait.
        case limited(retryAfter: Milliseconds?)
        /// It will never do; the homeserver's words.
        case refused(String)
        /// Trying later may help.
        case failed
    }

    package enum Outcome: Equatable, Sendable {
        case left
        /// The homeserver does not let us announce ourselves, or not any more; its words.
        case refused(String)
    }

    /// What is worth a line in the log, and counting.
    package enum Notice: String, CaseIterable, Sendable {
        case delayedEventsUnsupported
        case delayShortened
        /// The homeserver had taken us out; we are in again.
        case rejoined
        /// Our announcement was overwritten or had gone; it was made again.
        case restored
        /// The delayed leave could not be sent; a plain one is.
        case delayedLeaveFailed
    }

    /// What must survive a restart of ours.
    package struct Record: Equatable, Sendable {
        /// Of the scheduled leave.
        package var delayID: String?
        /// `created_ts`; nil before the first announcement.
        package var createdAt: UnixMilliseconds?
        /// As announced last; 0 before.
        package var expires: Milliseconds

        package init(delayID: String? = nil, createdAt: UnixMilliseconds? = nil, expires: Milliseconds = 0) {
            self.delayID = delayID
            self.createdAt = createdAt
            self.expires = expires
        }
    }

    private enum Kind: Hashable {
        case schedule
        case announce
        case restart
        case leave
    }

    /// A shorter delay would be over before the next restart comes through.
    private static let leastDelay: Milliseconds = 2_000
    private static let longestWait: Milliseconds = 60_000
    /// The longest wait that a homeserver can impose on us.
    private static let longestImposedWait: Milliseconds = 600_000

    package private(set) var record: Record
    /// Nil while there is something left to do.
    package private(set) var outcome: Outcome?
    private let timing: Timing
    private var delay: Milliseconds
    private var hasDelayedEvents = true
    private var wantsIn: Bool
    private var pending: Request?
    /// There may be an announcement to take back.
    private var mayStand: Bool
    /// The announcement was taken and is not known to be gone.
    private var isAnnounced = false
    private var announcedAt: Milliseconds = 0
    private var announcement: EventID?
    /// The announcement was seen in the room.
    private var hasAppeared = false
    /// The scheduled leave is known to be held; that of before a restart of ours may have been sent.
    private var isHeld = false
    private var restartDue: Milliseconds = 0
    private var notBefore: [Kind: Milliseconds] = [:]
    private var failures: [Kind: Int] = [:]
    /// Times in a row that we had to begin again, and when the last was: whoever fights us gets slow answers.
    private var repairs = (count: 0, at: Milliseconds.min / 2)
    private var notices: [Notice] = []

    /// - Parameters:
    ///   - record: Of before a restart of ours; a leg that is still announced goes on.
    ///   - wantsIn: false to clear what may be left of it.
    ///   - rejoins: whether it shall come as a new member, in place of the one that may still stand.
    package init(
        resuming record: Record = Record(), wantsIn: Bool = true, rejoins: Bool = false, timing: Timing = Timing(),
    ) {
        self.record = rejoins ? Record(delayID: record.delayID) : record
        self.wantsIn = wantsIn
        self.timing = timing
        delay = timing.delay
        mayStand = record.createdAt != nil || !wantsIn
    }

    /// Whether the announcement stands, as far as we know.
    package var isIn: Bool { isAnnounced && wantsIn && outcome == nil }

    package mutating func leave() {
        wantsIn = false
    }

    /// What happened since the last call.
    package mutating func takeNotices() -> [Notice] {
        defer { notices = [] }
        return notices
    }

    // MARK: What stands in the room

    /// Takes what the room knows of us now: the event of our announcement; nil when there is none, or one of somebody
    /// else in its place.
    package mutating func observe(_ standing: EventID?, at now: Milliseconds) {
        guard isAnnounced, pending == nil, wantsIn, outcome == nil else { return }
        if let announcement, standing == announcement {
            hasAppeared = true
        } else if hasAppeared || now - announcedAt >= timing.appearance {
            isAnnounced = false
            notBefore[.announce] = repair(at: now)
            notices.append(.restored)
        }
    }

    /// The first repair is made at once, each further one that follows soon after twice as late as the last.
    private mutating func repair(at now: Milliseconds) -> Milliseconds {
        if now - repairs.at > 2 * Self.longestWait { repairs.count = 0 }
        defer { repairs = (repairs.count + 1, now) }
        return repairs.count == 0 ? now : now + Self.backOff(after: repairs.count)
    }

    private static func backOff(after failures: Int) -> Milliseconds {
        min(longestWait, 1_000 << min(failures - 1, 10))
    }

    // MARK: Requests

    /// The request that is due; answer it with ``answered(_:at:)``.
    ///
    /// - Parameter unixTime: What a new announcement says as its time.
    package mutating func nextRequest(at now: Milliseconds, unixTime: UnixMilliseconds) -> Request? {
        guard outcome == nil, pending == nil else { return nil }
        pending = wantsIn ? joining(at: now, unixTime: unixTime) : leaving(at: now)
        return pending
    }

    private func isDue(_ kind: Kind, at now: Milliseconds) -> Bool {
        now >= notBefore[kind] ?? .min
    }

    private mutating func joining(at now: Milliseconds, unixTime: UnixMilliseconds) -> Request? {
        if record.delayID == nil, hasDelayedEvents {
            return isDue(.schedule, at: now) ? .scheduleLeave(delay: delay) : nil
        }
        if let delayID = record.delayID, !isHeld {
            return isDue(.restart, at: now) ? .restart(delayID: delayID) : nil
        }
        if isAnnounced, let createdAt = record.createdAt {
            // From when we joined, so that announcements in between put nothing off.
            let renewals = (unixTime - createdAt) / timing.renewalInterval
            let expires = timing.lifetime * (renewals + 1)
            if expires > record.expires {
                record.expires = expires
                isAnnounced = false
            }
        }
        if !isAnnounced, isDue(.announce, at: now) {
            let createdAt = record.createdAt ?? unixTime
            record.createdAt = createdAt
            mayStand = true
            if record.expires == 0 { record.expires = timing.lifetime }
            return .announce(createdAt: createdAt, expires: record.expires)
        }
        if let delayID = record.delayID, now >= restartDue, isDue(.restart, at: now) {
            return .restart(delayID: delayID)
        }
        return nil
    }

    private mutating func leaving(at now: Milliseconds) -> Request? {
        if let delayID = record.delayID { return .sendLeave(delayID: delayID) }
        guard mayStand else {
            outcome = .left
            return nil
        }
        return isDue(.leave, at: now) ? .leave : nil
    }

    // MARK: Answers

    /// Takes the answer to the last request.
    package mutating func answered(_ answer: Answer, at now: Milliseconds) {
        guard let request = pending else { return }
        pending = nil
        switch request {
        case .scheduleLeave: scheduled(answer, at: now)
        case .announce: announced(answer, at: now)
        case .restart: restarted(answer, at: now)
        case .sendLeave:
            if answer == .done { return outcome = .left }
            record.delayID = nil
            notices.append(.delayedLeaveFailed)
        case .leave:
            switch answer {
            case .limited, .failed: retry(.leave, after: answer, at: now)
            case .refused(let reason): outcome = .refused(reason)
            default: outcome = .left
            }
        }
    }

    private mutating func scheduled(_ answer: Answer, at now: Milliseconds) {
        switch answer {
        case .limited, .failed: return retry(.schedule, after: answer, at: now)
        case .scheduled(let delayID):
            record.delayID = delayID
            isHeld = true
            restartDue = now
        case .delayTooLong(let maximum):
            let permitted = maximum.map { min($0, delay - 1) } ?? delay / 2
            guard permitted >= Self.leastDelay else { return doWithoutDelayedEvents() }
            delay = permitted
            notices.append(.delayShortened)
        default: return doWithoutDelayedEvents()
        }
        failures[.schedule] = nil
    }

    private mutating func doWithoutDelayedEvents() {
        hasDelayedEvents = false
        notices.append(.delayedEventsUnsupported)
    }

    private mutating func announced(_ answer: Answer, at now: Milliseconds) {
        switch answer {
        case .limited, .failed: retry(.announce, after: answer, at: now)
        case .announced(let event):
            isAnnounced = true
            announcedAt = now
            announcement = event
            hasAppeared = false
            failures[.announce] = nil
        case .refused(let reason): outcome = .refused(reason)
        default: outcome = .refused("an answer that does not follow the specification")
        }
    }

    private mutating func restarted(_ answer: Answer, at now: Milliseconds) {
        switch answer {
        case .limited, .failed: retry(.restart, after: answer, at: now)
        case .done:
            isHeld = true
            failures[.restart] = nil
            restartDue = now + restartInterval
        default:
            // It was sent: for everybody else we have left, so this is a new membership.
            record = Record()
            isHeld = false
            isAnnounced = false
            notBefore[.schedule] = repair(at: now)
            notices.append(.rejoined)
        }
    }

    private var restartInterval: Milliseconds { min(timing.restartInterval, delay / 3) }

    private mutating func retry(_ kind: Kind, after answer: Answer, at now: Milliseconds) {
        let count = failures[kind, default: 0] + 1
        failures[kind] = count
        var wait = Self.backOff(after: count)
        // Later than that, the homeserver takes us out although it is there again.
        if kind == .restart { wait = min(wait, restartInterval) }
        if case .limited(let asked?) = answer { wait = min(max(asked, 0), Self.longestImposedWait) }
        notBefore[kind] = now + wait
    }
}
