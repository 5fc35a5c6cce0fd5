// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging

/// Keeps the bot in the rooms whose calls we follow: carries out the stored errands one after the other.
///
///     transaction ──▶ errand stored ──▶ join / decline ──▶ gone
///                                            │ joined
///     start ──▶ joined rooms ────────▶ read the state ──▶ roster
///
/// An errand that fails stays and is tried again with back-off, also over restarts.
package actor RoomAttendance {
    /// What became of errands, to be counted.
    package enum Event: String, CaseIterable, Sendable {
        case joined
        case declined
        case stateRead
        /// The invitation was withdrawn, or the bot is banned.
        case joinRefused
        case declineRefused
        /// The bot is not in the room any more.
        case stateRefused
        /// The answer is larger than we read, or not what the specification says.
        case unreadable
        /// Something happened in the room meanwhile, so its state was read again.
        case stateOutdated
        /// Tried again later.
        case failed
    }

    private let client: MatrixClient
    private let database: Database
    private let coordinator: CallCoordinator
    private let bot: UserID
    private let wakeUps: WakeUps
    private let clock: ServiceClock
    private let logger: Logger
    private var isReconciled = false
    /// Somebody will wake us when all rooms may be read again.
    private var isReadingPlanned = false
    private var lastReconciliation: MonotonicTime?
    /// Between two readings of all rooms: somebody may make one transaction after the other unreadable.
    private static let reconciliationSpacingMilliseconds: UInt64 = 60_000
    package nonisolated let events = Tally<Event>()

    /// Rounds in a row in which the state of one room may change under our eyes, before others get their turn.
    private static let maximumReadings = 3

    package init(
        client: MatrixClient, database: Database, coordinator: CallCoordinator, bot: UserID, wakeUps: WakeUps,
        clock: ServiceClock, logger: Logger,
    ) {
        self.client = client
        self.database = database
        self.coordinator = coordinator
        self.bot = bot
        self.wakeUps = wakeUps
        self.clock = clock
        self.logger = logger
    }

    /// Works whenever it is woken, until the task is cancelled. Called once; first woken when the homeserver knows the
    /// bot.
    package func run() async {
        await withDiscardingTaskGroup { group in
            var failures = 0
            for await _ in wakeUps.stream {
                let result = await performAll()
                if let delay = result.nextReadingMilliseconds, !isReadingPlanned {
                    isReadingPlanned = true
                    // Invitations do not wait for that.
                    group.addTask { await self.wakeForReading(afterMilliseconds: delay) }
                }
                guard result.hasFailures else {
                    failures = 0
                    continue
                }
                failures += 1
                let delay = RetryPolicy.homeserver.delayMilliseconds(
                    failures: failures, requested: result.requestedDelayMilliseconds, random: Double.random(in: 0..<1))
                guard (try? await clock.sleep(delay)) != nil else { return }
                wakeUps.wake()
            }
        }
    }

    private func wakeForReading(afterMilliseconds delay: UInt64) async {
        guard (try? await clock.sleep(delay)) != nil else { return }
        isReadingPlanned = false
        wakeUps.wake()
    }

    struct Round: Equatable {
        var hasFailures = false
        var requestedDelayMilliseconds: UInt64?
        /// All rooms are to be read again, and not before that.
        var nextReadingMilliseconds: UInt64?
    }

    /// Tries every errand once; before the first, makes one for each room the bot is in.
    func performAll() async -> Round {
        var round = Round()
        do {
            round.nextReadingMilliseconds = try await reconcile()
            var last: Int64 = 0
            while let errand = try await database.read({ [last] in try RoomErrandTable.next(after: last, in: $0) }) {
                last = errand.sequence
                let outcome = await perform(errand)
                count(outcome, of: errand)
                if outcome.isFinal {
                    try await database.transaction { try RoomErrandTable.remove(errand, in: $0) }
                } else {
                    round.hasFailures = true
                    if case .failed(let requested?) = outcome {
                        round.requestedDelayMilliseconds = max(round.requestedDelayMilliseconds ?? 0, requested)
                    }
                }
            }
        } catch let error as MatrixClientError {
            events.count(.failed)
            round.hasFailures = true
            if case .refused(let refusal) = error { round.requestedDelayMilliseconds = refusal.retryAfterMilliseconds }
        } catch {
            events.count(.failed)
            round.hasFailures = true
            logger.error("What the bot has to do could not be stored", metadata: ["error.code": "\(error)"])
        }
        return round
    }

    /// Events were lost: as after a start, the state of all rooms we are in says what they were.
    package func readAllAgain() {
        isReconciled = false
        wakeUps.wake()
    }

    /// Once a process, and when events were lost: what happened in our rooms unseen is in their state.
    ///
    /// - Returns: milliseconds until its time comes, when it has to wait for that.
    private func reconcile() async throws -> UInt64? {
        guard !isReconciled else { return nil }
        let now = clock.monotonic()
        let elapsed = lastReconciliation.map { now.milliseconds(since: $0) } ?? .max
        guard elapsed >= Self.reconciliationSpacingMilliseconds else {
            return Self.reconciliationSpacingMilliseconds - elapsed
        }
        // Before the answer: what is lost while it is on its way is not in it.
        isReconciled = true
        do {
            let rooms = try await client.joinedRooms(as: .init(userID: bot))
            try await database.transaction { connection in
                for room in rooms {
                    _ = try RoomErrandTable.store(.readState, room: room, in: connection)
                }
            }
            lastReconciliation = now
            return nil
        } catch {
            isReconciled = false
            throw error
        }
    }

    private func perform(_ errand: RoomErrand) async -> RoomErrand.Outcome {
        do throws(MatrixClientError) {
            switch errand.kind {
            case .join: try await client.join(errand.room, as: .init(userID: bot))
            case .decline: try await client.leave(errand.room, as: .init(userID: bot))
            case .readState: return try await readState(of: errand.room)
            }
            return .done
        } catch {
            return RoomErrand.Outcome(error)
        }
    }

    private func readState(of room: RoomID) async throws(MatrixClientError) -> RoomErrand.Outcome {
        for _ in 0..<Self.maximumReadings {
            await coordinator.stateReadingBegan(of: room)
            let values: [JSONValue]
            do throws(MatrixClientError) {
                values = try await client.state(of: room, as: .init(userID: bot))
            } catch {
                await coordinator.stateReadingFailed(of: room)
                throw error
            }
            do {
                if try await coordinator.take(RoomState(values, of: room), of: room) { return .done }
                events.count(.stateOutdated)
            } catch {
                logger.error("The state of a room could not be stored", metadata: ["error.code": "\(error)"])
                return .failed(requestedDelayMilliseconds: nil)
            }
        }
        return .outdated
    }

    private func count(_ outcome: RoomErrand.Outcome, of errand: RoomErrand) {
        let room: Logger.Metadata = ["matrix.room_id": "\(errand.room)"]
        switch (outcome, errand.kind) {
        case (.done, .join):
            events.count(.joined)
            logger.info("The bot joined a room", metadata: room)
        case (.done, .decline):
            events.count(.declined)
            logger.info("The bot declined an invitation from a server without full access", metadata: room)
        case (.done, .readState): events.count(.stateRead)
        case (.refused(let code), let kind):
            let refused: Event =
                switch kind {
                case .join: .joinRefused
                case .decline: .declineRefused
                case .readState: .stateRefused
                }
            events.count(refused)
            logger.warning(
                "The homeserver refused what the bot asked for a room",
                metadata: room.merging(["errand": "\(kind)", "error.code": "\(code.rawValue)"]) { $1 })
        case (.unreadable, _):
            events.count(.unreadable)
            logger.warning("The state of a room cannot be read; calls that run there appear late", metadata: room)
        case (.outdated, _): return
        case (.failed, _): events.count(.failed)
        }
    }
}

/// Wakes one waiting loop; several calls before it looks are one.
package struct WakeUps: Sendable {
    let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    package init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func wake() {
        continuation.yield()
    }
}
