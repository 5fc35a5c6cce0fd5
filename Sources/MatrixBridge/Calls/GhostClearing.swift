// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
package import Logging

/// Clears the memberships of clients that died: sends the leave in their name, with the second registration.
///
/// Only for users of our homeserver, and only where no delayed leave was handed over, which does the same.
package actor GhostClearing {
    package enum Event: String, CaseIterable, Sendable {
        case cleared
        /// The homeserver refused or did not answer.
        case failed
    }

    private let coordinator: CallCoordinator
    private let focus: any FocusControlling
    private let keeper: DelayedLeaveKeeper
    private let delegate: MatrixClient
    private let localServer: ServerName
    private let clock: ServiceClock
    private let logger: Logger
    private var watch = GhostWatch()
    package nonisolated let events = Tally<Event>()

    private static let checkMilliseconds: UInt64 = 1_000
    /// The longest there is (MSC4354), so that the leave outlasts whatever it replaces.
    private static let stickyMilliseconds = 3_600_000

    package init(
        coordinator: CallCoordinator, focus: any FocusControlling, keeper: DelayedLeaveKeeper,
        delegate: MatrixClient, localServer: ServerName, clock: ServiceClock, logger: Logger,
    ) {
        self.coordinator = coordinator
        self.focus = focus
        self.keeper = keeper
        self.delegate = delegate
        self.localServer = localServer
        self.clock = clock
        self.logger = logger
    }

    /// Works until the task is cancelled.
    package func run() async {
        while (try? await clock.sleep(Self.checkMilliseconds)) != nil {
            await check()
        }
    }

    func check() async {
        let entries = await coordinator.memberships(ofServer: localServer)
        var members: [GhostWatch.Watched: RosterEntry] = [:]
        for entry in entries {
            guard let membership = entry.membership else { continue }
            members[.init(entry: entry.id, joinedAt: entry.joinedAt, participant: FocusParticipant(membership))] = entry
        }
        var present: [String: [String: ParticipantPresence]] = [:]
        for room in Set(members.keys.map(\.participant.room)) { present[room] = await focus.presence(inRoom: room) }
        let ghosts = watch.ghosts(among: Array(members.keys), at: clock.monotonic()) {
            present[$0.room]?[$0.identity] != nil
        }
        for ghost in ghosts {
            guard let entry = members[ghost], !(await keeper.holds(ghost.participant)) else { continue }
            await clear(entry)
        }
    }

    private func clear(_ entry: RosterEntry) async {
        guard let membership = entry.membership else { return }
        let user = MatrixClient.Masquerade(userID: entry.sender)
        let room: Logger.Metadata = ["matrix.room_id": "\(entry.id.roomID)", "matrix.user_id": "\(entry.sender)"]
        do throws(MatrixClientError) {
            switch entry.id.key {
            case .state(let key):
                try await delegate.setState(
                    ofType: SessionStateMembership.eventType, key: key, content: [:], in: entry.id.roomID, as: user)
            case .sticky(_, let type, let key):
                try await delegate.send(
                    type, content: Self.leave(key, of: membership), to: entry.id.roomID, as: user,
                    transactionID: "ghost-\(entry.eventID.rawValue)", stickyMilliseconds: Self.stickyMilliseconds)
            }
            events.count(.cleared)
            logger.info("The membership of a client that is gone was cleared", metadata: room)
        } catch {
            events.count(.failed)
            logger.warning(
                "The membership of a client that is gone stays; it will expire",
                metadata: room.merging(["error.code": "\(error)"]) { $1 })
        }
    }

    /// The draft leaves with nothing but its key.
    private static func leave(_ key: String, of membership: RTCMembership) -> JSONObject {
        guard membership.generation == .sticky else { return ["msc4354_sticky_key": .string(key)] }
        return [
            "sticky_key": .string(key), "msc4354_sticky_key": .string(key),
            "slot_id": .string(membership.slotID.description),
            "application": .object(["type": .string(membership.slotID.application)]),
            "member": .object(["id": .string(membership.memberID), "membership": .string("leave")]),
            "leave_reason": .object(["code": .string("delayed_leave")]),
        ]
    }
}
