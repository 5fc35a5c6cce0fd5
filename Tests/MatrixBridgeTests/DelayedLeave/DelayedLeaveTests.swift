// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging
import Testing

@testable import MatrixBridge

@Suite("Delayed leaves: held back while the client is there, let go when it is not")
struct DelayedLeaveTests {
    static let participant = FocusParticipant(room: "call", identity: "phone")
    static let active = ParticipantPresence(wasActive: true, session: "PA_1", joinedAtMilliseconds: 0)
    static let joining = ParticipantPresence(wasActive: false, session: "PA_1", joinedAtMilliseconds: 0)

    static func order(_ id: String = "delay", delay: UInt64 = 10_000) -> DelayedLeave.Order {
        DelayedLeave.Order(
            delayID: id, delay: delay, participant: participant, room: TransactionInboxTests.room,
            user: TransactionInboxTests.alice)
    }

    static func at(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    /// What happens at a time: presence seen, or the answer to the request that is under way.
    enum Step: Sendable {
        case sees(ParticipantPresence?)
        case hears(DelayedLeave.Answer)
    }

    struct Script: Sendable, CustomTestStringConvertible {
        var name: String
        var delay: UInt64 = 10_000
        var isResumed = false
        var steps: [(UInt64, Step)]
        /// Requests with their times.
        var requests: [String]
        var outcome: DelayedLeave.Outcome?

        var testDescription: String { name }
    }

    static let scripts: [Script] = [
        Script(
            name: "D1 never connects: sent once after the delay",
            steps: [(9_999, .sees(nil)), (10_000, .sees(nil)), (10_100, .hears(.done)), (60_000, .sees(nil))],
            requests: ["10000 send"], outcome: .sent),
        Script(
            name: "D1 never connects: at most an hour", delay: 86_400_000,
            steps: [(3_599_999, .sees(nil)), (3_600_000, .sees(nil)), (3_600_001, .hears(.done))],
            requests: ["3600000 send"], outcome: .sent),
        Script(
            name: "D2 connected already: restart at once", steps: [(5, .sees(active)), (6, .hears(.done))],
            requests: ["5 restart"]),
        Script(
            name: "D3 came and went without media: nothing",
            steps: [(5, .sees(joining)), (900, .sees(nil)), (20_000, .sees(nil))], requests: [],
            outcome: .neverConnected),
        Script(
            name: "D4 D5 gone: sent",
            steps: [(5, .sees(active)), (6, .hears(.done)), (2_000, .sees(nil)), (2_001, .hears(.done))],
            requests: ["5 restart", "2000 send"], outcome: .sent),
        Script(
            name: "D6 restart every 80 % of the delay",
            steps: [
                (0, .sees(active)), (0, .hears(.done)), (7_999, .sees(active)), (8_000, .sees(active)),
                (8_010, .hears(.done)), (16_009, .sees(active)), (16_010, .sees(active)),
            ], requests: ["0 restart", "8000 restart", "16010 restart"]),
        Script(
            name: "D7 restart finds nothing: over, no send",
            steps: [(0, .sees(active)), (1, .hears(.gone)), (5_000, .sees(nil))], requests: ["0 restart"],
            outcome: .lost),
        Script(
            name: "no restart for a whole delay: over",
            steps: [
                (0, .sees(active)), (1, .hears(.failed(retryAfter: nil))), (1_001, .sees(active)),
                (6_000, .hears(.failed(retryAfter: nil))), (7_000, .sees(active)),
                (12_000, .hears(.failed(retryAfter: nil))), (20_000, .sees(nil)),
            ], requests: ["0 restart", "1001 restart", "7000 restart"], outcome: .lost),
        Script(
            name: "D8 send finds nothing: success",
            steps: [(0, .sees(active)), (1, .hears(.done)), (100, .sees(nil)), (101, .hears(.gone))],
            requests: ["0 restart", "100 send"], outcome: .sent),
        Script(
            name: "D9 told when to come back",
            steps: [
                (0, .sees(active)), (1, .hears(.done)), (100, .sees(nil)), (101, .hears(.failed(retryAfter: 3_000))),
                (3_100, .sees(nil)), (3_101, .sees(nil)), (3_102, .hears(.done)),
            ], requests: ["0 restart", "100 send", "3101 send"], outcome: .sent),
        Script(
            name: "D9 not told: back-off, and an end when the homeserver's own clock has run out",
            steps: [
                (0, .sees(active)), (1, .hears(.done)), (100, .sees(nil)), (101, .hears(.failed(retryAfter: nil))),
                (600, .sees(nil)), (601, .sees(nil)), (602, .hears(.failed(retryAfter: nil))), (1_351, .sees(nil)),
                (1_352, .sees(nil)), (11_000, .hears(.failed(retryAfter: nil))), (20_000, .sees(nil)),
            ], requests: ["0 restart", "100 send", "601 send", "1352 send"], outcome: .lost),
        Script(
            name: "D9 the homeserver's own clock has run out already: one more second",
            steps: [
                (10_000, .sees(nil)), (10_100, .hears(.failed(retryAfter: 800))), (10_900, .sees(nil)),
                (11_100, .hears(.failed(retryAfter: nil))), (20_000, .sees(nil)),
            ], requests: ["10000 send", "10900 send"], outcome: .lost),
        Script(
            name: "refused for good: over",
            steps: [(0, .sees(active)), (1, .hears(.refused)), (9_000, .sees(nil))], requests: ["0 restart"],
            outcome: .lost),
        Script(
            name: "D12 after a restart of ours the event is kept alive until the client is back", isResumed: true,
            steps: [(0, .sees(nil)), (1, .hears(.done)), (4_000, .sees(active)), (4_001, .hears(.done))],
            requests: ["0 restart", "4000 restart"]),
        Script(
            name: "D12 an event that was sent meanwhile is forgotten", isResumed: true,
            steps: [(0, .sees(nil)), (1, .hears(.gone))], requests: ["0 restart"], outcome: .lost),
        Script(
            name: "gone while a restart is under way: sent after its answer",
            steps: [
                (0, .sees(active)), (10, .sees(nil)), (20, .hears(.done)), (1_000, .sees(nil)), (1_001, .hears(.done)),
            ], requests: ["0 restart", "1000 send"], outcome: .sent),
    ]

    @Test("the state machine", arguments: scripts)
    func machine(_ script: Script) {
        var leave = DelayedLeave(
            Self.order(delay: script.delay), isResumed: script.isResumed, at: Self.at(0))
        var requests: [String] = []
        var pending: DelayedLeave.Request?
        for (time, step) in script.steps {
            switch step {
            case .sees(let presence):
                leave.observe(presence, at: Self.at(time))
                if let request = leave.nextRequest(at: Self.at(time)) {
                    requests.append("\(time) \(request.rawValue)")
                    pending = request
                }
            case .hears(let answer):
                guard let request = pending else {
                    Issue.record("no request is under way at \(time)")
                    return
                }
                pending = nil
                leave.answered(answer, to: request, at: Self.at(time), random: 0)
            }
        }
        #expect(requests == script.requests)
        #expect(leave.outcome == script.outcome)
    }

    @Test("D10, D11: the newest order of a participant acts alone, and others are not touched")
    func replacement() async throws {
        let (focus, events, clock) = (FakeFocus(), FakeDelayedEvents(), ManualClock())
        let keeper = try DelayedLeaveKeeper.ofTests(focus, events, clock)
        let other = FocusParticipant(room: "call", identity: "laptop")
        var second = Self.order("other")
        second.participant = other
        await focus.enter(Self.participant)
        await focus.enter(other)
        #expect(try await keeper.take(Self.order("old")))
        #expect(try await keeper.take(second))
        #expect(try await keeper.take(Self.order("new")))
        #expect(keeper.outcomes[.replaced] == 1)
        await keeper.work()
        #expect(await events.log == ["restart other", "restart new"])
        await focus.exit(Self.participant)
        clock.advance(milliseconds: 1_000)
        await keeper.work()
        #expect(await events.log.suffix(1) == ["send new"])
        #expect(await keeper.holds(other))
        #expect(!(await keeper.holds(Self.participant)))
    }

    @Test("one user has only so many, and others still find room")
    func ofOneUser() async throws {
        let keeper = try DelayedLeaveKeeper.ofTests(FakeFocus(), FakeDelayedEvents(), ManualClock())
        func order(_ number: Int64, of user: String = "@mallory:example.com") -> DelayedLeave.Order {
            DelayedLeave.Order(
                delayID: "d", delay: 10_000, participant: FocusParticipant(room: "call", identity: "\(user) \(number)"),
                room: TransactionInboxTests.room, user: Identifier.user(user))
        }
        for number in 0..<DelayedLeaveTable.maximumCountOfUser { #expect(try await keeper.take(order(number))) }
        #expect(try await keeper.take(order(DelayedLeaveTable.maximumCountOfUser)) == false)
        // One in place of another is no more.
        #expect(try await keeper.take(order(0)))
        #expect(try await keeper.take(order(0, of: "@alice:example.com")))
    }

    @Test("D12: orders survive a restart, finished ones do not")
    func restart() async throws {
        let file = try TemporaryDatabase()
        let (focus, events, clock) = (FakeFocus(), FakeDelayedEvents(), ManualClock())
        let first = try DelayedLeaveKeeper.ofTests(focus, events, clock, path: file.path)
        #expect(try await first.take(Self.order("kept")))
        let second = try DelayedLeaveKeeper.ofTests(focus, events, clock, path: file.path)
        try await second.restore()
        #expect(await second.holds(Self.participant))
        await events.answer(.gone)
        await second.work()
        #expect(await events.log == ["restart kept"])
        #expect(second.outcomes[.lost] == 1)
        let third = try DelayedLeaveKeeper.ofTests(focus, events, clock, path: file.path)
        try await third.restore()
        #expect(await third.count == 0)
    }

    @Test("D12: a store that fails refuses new orders and does not stop those that are held")
    func storeFailure() async throws {
        let (focus, events, clock) = (FakeFocus(), FakeDelayedEvents(), ManualClock())
        let database = try Database(path: ":memory:")
        let keeper = DelayedLeaveKeeper(
            database: database, focus: focus, events: events, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(try await keeper.take(Self.order("kept")))
        _ = try await database.transaction { try $0.execute("DROP TABLE delayed_leaves") }
        var other = Self.order("refused")
        other.participant.identity = "laptop"
        let delegation = DelayedLeaveDelegation(keeper: keeper, events: events)
        await #expect(throws: TokenExchangeRefusal.delegationFailed) {
            try await delegation.take(
                .init(delayID: "refused", delay: 8_000), of: other.participant, room: other.room, user: other.user)
        }
        #expect(TokenExchangeRefusal.delegationFailed.matrixError.status == 500)
        await focus.enter(Self.participant)
        await keeper.work()
        await focus.exit(Self.participant)
        clock.advance(milliseconds: 1_000)
        await keeper.work()
        #expect(await events.log == ["restart kept", "send kept"])
        #expect(await keeper.count == 0)
    }

    @Test("what is handed over must be the user's and end a call of the room")
    func ownership() async throws {
        let (focus, events, clock) = (FakeFocus(), FakeDelayedEvents(), ManualClock())
        let keeper = try DelayedLeaveKeeper.ofTests(focus, events, clock)
        let delegation = DelayedLeaveDelegation(keeper: keeper, events: events)
        let (room, alice) = (TransactionInboxTests.room, TransactionInboxTests.alice)
        func take(_ delay: UInt64?) async -> TokenExchangeRefusal.Reason? {
            do throws(TokenExchangeRefusal) {
                try await delegation.take(
                    .init(delayID: "d", delay: delay), of: Self.participant, room: room, user: alice)
                return nil
            } catch {
                return error.reason
            }
        }
        let member = SessionStateMembership.eventType
        let cases: [(DelayedEventDescription?, UInt64?, TokenExchangeRefusal.Reason?)] = [
            (.unknown, 8_000, .delayedEventUnknown),
            (.event(room: Identifier.room("!other"), type: member, delay: 8_000), 8_000, .delayedEventUnknown),
            (.event(room: room, type: "m.room.message", delay: 8_000), 8_000, .delayedEventUnknown),
            (.event(room: room, type: member, delay: 8_000), nil, nil),
            (.event(room: room, type: "m.room.encrypted", delay: nil), 8_000, nil),
            (nil, nil, .missingField), (nil, 8_000, nil),
        ]
        for (found, delay, expected) in cases {
            await events.find(found)
            #expect(await take(delay) == expected, "\(String(describing: found))")
        }
        await events.cutOff(FakeHomeserver.local)
        #expect(await take(8_000) == .clientAPIUnknown)
    }
}
