// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
package import Logging

/// Keeps the delayed leaves that clients handed over: looks once a second who is in the focus, restarts the leaves of
/// those who are and sends those of the others.
///
/// Orders are stored, so that a restart of ours neither lets a client that comes back be declared gone, nor leaves a
/// ghost of one that does not.
package actor DelayedLeaveKeeper {
    private let database: Database
    private let focus: any FocusControlling
    private let events: any DelayedEventManaging
    private let clock: ServiceClock
    private let logger: Logger
    private var leaves: [FocusParticipant: DelayedLeave] = [:]
    /// Grows with each order, so that an answer to a request of a replaced one is not taken for the new one's.
    private var generations: [FocusParticipant: UInt64] = [:]
    private var lastGeneration: UInt64 = 0
    package nonisolated let outcomes = Tally<DelayedLeave.Outcome>()

    private static let checkMilliseconds: UInt64 = 1_000

    package init(
        database: Database, focus: any FocusControlling, events: any DelayedEventManaging, clock: ServiceClock,
        logger: Logger,
    ) {
        self.database = database
        self.focus = focus
        self.events = events
        self.clock = clock
        self.logger = logger
    }

    /// Goes on with the stored orders.
    package func restore() async throws {
        let now = clock.monotonic()
        for order in try await database.read({ try DelayedLeaveTable.load(from: $0) }) {
            hold(DelayedLeave(order, isResumed: true, at: now))
        }
    }

    /// Whether somebody else takes care of the participant's leave.
    package func holds(_ participant: FocusParticipant) -> Bool {
        leaves[participant] != nil
    }

    package var count: Int { leaves.count }

    /// Takes an order over; durable when this returns.
    ///
    /// - Returns: false when too many are held.
    package func take(_ order: DelayedLeave.Order) async throws -> Bool {
        let isStored = try await database.transaction { try DelayedLeaveTable.store(order, in: $0) }
        guard isStored else { return false }
        if leaves[order.participant] != nil { outcomes.count(.replaced) }
        hold(DelayedLeave(order, at: clock.monotonic()))
        return true
    }

    private func hold(_ leave: DelayedLeave) {
        lastGeneration += 1
        leaves[leave.order.participant] = leave
        generations[leave.order.participant] = lastGeneration
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            while (try? await clock.sleep(Self.checkMilliseconds)) != nil {
                for request in await check() {
                    group.addTask { await self.perform(request) }
                }
            }
            group.cancelAll()
        }
    }

    struct Due: Equatable, Sendable {
        var order: DelayedLeave.Order
        var request: DelayedLeave.Request
        var generation: UInt64
    }

    /// Looks who is there; returns the requests that are due.
    func check() async -> [Due] {
        let rooms = Set(leaves.keys.map(\.room))
        var present: [String: [String: ParticipantPresence]] = [:]
        for room in rooms { present[room] = await focus.presence(inRoom: room) }
        let now = clock.monotonic()
        var due: [Due] = []
        for participant in leaves.keys.sorted(by: { ($0.room, $0.identity) < ($1.room, $1.identity) }) {
            // An order that came while the focus was asked waits for the next look.
            guard let known = present[participant.room] else { continue }
            leaves[participant]?.observe(known[participant.identity], at: now)
            if let request = leaves[participant]?.nextRequest(at: now), let order = leaves[participant]?.order {
                due.append(Due(order: order, request: request, generation: generations[participant] ?? 0))
            }
            await endIfOver(participant)
        }
        return due
    }

    func perform(_ due: Due) async {
        let answer = await events.perform(due.request, due.order)
        let participant = due.order.participant
        guard generations[participant] == due.generation else { return }
        leaves[participant]?.answered(
            answer, to: due.request, at: clock.monotonic(), random: Double.random(in: 0..<1))
        await endIfOver(participant)
    }

    private func endIfOver(_ participant: FocusParticipant) async {
        guard let leave = leaves[participant], let outcome = leave.outcome else { return }
        leaves[participant] = nil
        generations[participant] = nil
        outcomes.count(outcome)
        logger.info(
            "A delayed leave is over",
            metadata: ["matrix.room_id": "\(leave.order.room)", "outcome": "\(outcome.rawValue)"])
        do {
            try await database.transaction { connection in
                // A newer order of the participant may have been stored meanwhile.
                _ = try connection.execute(
                    "DELETE FROM delayed_leaves WHERE focus_room = ? AND identity = ? AND delay_id = ?",
                    [.text(participant.room), .text(participant.identity), .text(leave.order.delayID)])
            }
        } catch {
            logger.error("A delayed leave that is over could not be removed", metadata: ["error.code": "\(error)"])
        }
    }
}
