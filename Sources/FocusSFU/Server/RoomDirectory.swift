// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers

/// Which worker each room lives on, and who was removed. A room stays where it was created for its whole life.
package actor RoomDirectory {
    nonisolated let workers: [MediaWorker]
    nonisolated let helpers: [TurnHelper]
    let configuration: FocusConfiguration
    private var homes: [String: RoomHome] = [:]
    /// Rooms on each worker.
    private var load: [Int]
    /// Read by joins on the workers' threads as well.
    nonisolated let revokedTokens = NIOLockedValueBox(RevokedTokens())
    nonisolated let standingRights = NIOLockedValueBox(StandingRights())

    init(workers: [MediaWorker], helpers: [TurnHelper], configuration: FocusConfiguration) {
        self.workers = workers
        self.helpers = helpers
        self.configuration = configuration
        load = Array(repeating: 0, count: workers.count)
    }

    var defaultSettings: RoomSettings {
        RoomSettings(
            emptyTimeoutSeconds: configuration.emptyTimeoutSeconds,
            departureTimeoutSeconds: configuration.departureTimeoutSeconds,
            maximumParticipants: configuration.maximumParticipants)
    }

    package func worker(ofRoom name: String) -> MediaWorker? {
        homes[name]?.worker
    }

    package func roomExists(named name: String) -> Bool {
        homes[name] != nil
    }

    /// The room, made if it is not there; an existing one takes what is wished for.
    ///
    /// - Throws: when the name is too long or there are too many rooms.
    @discardableResult
    package func createRoom(
        named name: String, wishes: RoomSettings.Wishes = RoomSettings.Wishes()
    ) async throws(RoomServiceError) -> LiveKitRoom {
        try checkPlace(forRoom: name)
        let worker = homes[name]?.worker ?? placeRoom(named: name)
        homes[name]?.creationBegins()
        let room = await worker.createRoom(named: name, wishes: wishes, otherwise: defaultSettings)
        homes[name]?.creationEnds(room.sid)
        giveUpIfVacant(name)
        return room
    }

    /// Whether there is such a room, or may be one.
    ///
    /// - Throws: when the name is too long or there are too many rooms.
    func checkPlace(forRoom name: String) throws(RoomServiceError) {
        let limits = configuration.limits
        guard name.utf8.count <= limits.roomNameLength else {
            throw .invalidArgument("room name length exceeds limits: max length \(limits.roomNameLength)")
        }
        guard !name.isEmpty else { throw .invalidArgument("room name is empty") }
        guard homes[name] != nil || homes.count < limits.rooms else {
            throw .resourceExhausted("this server has as many rooms as it is allowed: \(limits.rooms)")
        }
    }

    /// The worker with the fewest sessions; each room counts as two more, which may be on their way.
    static func leastLoaded(populations: [Int], rooms: [Int]) -> Int {
        let loads = zip(populations, rooms).map { $0 + 2 * $1 }
        return loads.indices.min { loads[$0] < loads[$1] } ?? 0
    }

    private func placeRoom(named name: String) -> MediaWorker {
        let populations = workers.map { $0.population.load(ordering: .relaxed) }
        let least = Self.leastLoaded(populations: populations, rooms: load)
        load[least] += 1
        homes[name] = RoomHome(worker: workers[least])
        return workers[least]
    }

    func roomEnded(_ name: String, sid: String) {
        homes[name]?.ended(sid)
        giveUpIfVacant(name)
    }

    private func giveUpIfVacant(_ name: String) {
        guard let home = homes[name], home.isVacant else { return }
        homes[name] = nil
        load[home.worker.index] -= 1
    }

    /// Ends a room for everybody in it; false when there is none.
    package func deleteRoom(named name: String) async -> Bool {
        guard let home = worker(ofRoom: name) else { return false }
        return await home.deleteRoom(named: name)
    }

    func rooms() async -> [LiveKitRoom] {
        var all: [LiveKitRoom] = []
        for worker in workers { all += await worker.allRooms() }
        return all
    }

    /// Ends the sessions of an identity as the server API does, and revokes the tokens it had and all that were issued
    /// in the seconds before.
    ///
    /// - Returns: false when room or identity were not there; nothing is revoked then.
    func endSession(of identity: String, inRoom name: String) async -> Bool {
        guard let home = worker(ofRoom: name) else { return false }
        let ended = try? await home.administer(room: name) { room throws(RoomServiceError) in
            let sessions = room.sessions(of: identity)
            guard !sessions.isEmpty else { return false }
            // The program that removes may let the same one in again within the second, by a new token.
            revokedTokens.withLockedValue {
                $0.revoke(
                    room: name, identity: identity, issuedUpTo: UnixClock.seconds() - 1,
                    signatures: sessions.flatMap(\.tokenSignatures))
            }
            for participant in sessions {
                room.remove(participant, reason: .participantRemoved, action: .disconnect)
            }
            return true
        }
        return ended ?? false
    }

    /// Keeps an identity out: ends its sessions, and revokes the tokens it was issued until now, also when room or
    /// identity are not there, because whoever holds a token may be on its way in.
    ///
    /// - Returns: false when room or identity were not there.
    package func removeParticipant(identity: String, room: String) async -> Bool {
        // Before the removal: a join that the worker takes after it then finds its token revoked.
        revokeTokens(of: identity, in: room)
        guard let home = worker(ofRoom: room) else { return false }
        let removed = try? await home.administer(room: room) { room throws(RoomServiceError) in
            let sessions = room.sessions(of: identity)
            for participant in sessions {
                room.remove(participant, reason: .participantRemoved, action: .disconnect)
            }
            return !sessions.isEmpty
        }
        return removed ?? false
    }

    private func revokeTokens(of identity: String, in room: String) {
        // Longer names cannot join.
        let limits = configuration.limits
        guard identity.utf8.count <= limits.identityLength, room.utf8.count <= limits.roomNameLength else { return }
        revokedTokens.withLockedValue { $0.revoke(room: room, identity: identity, issuedUpTo: UnixClock.seconds()) }
    }

    /// Whether the participant that a token is for was removed after the token was issued.
    ///
    /// A token without an identity is for no participant.
    ///
    /// - Parameter identity: The one that joins; it may be the token's with a suffix.
    nonisolated func isRevoked(_ claims: TokenClaims, room: String, identity: String) -> Bool {
        let now = UnixClock.seconds()
        return revokedTokens.withLockedValue { revoked in
            [claims.identity, identity].contains {
                !$0.isEmpty
                    && revoked.covers(
                        room: room, identity: $0, issuedAt: claims.issuanceTime, signature: claims.signature, at: now)
            }
        }
    }

    package func figures() async -> WorkerFigures {
        var sum = WorkerFigures()
        for worker in workers { sum = sum + (await worker.figures()) }
        for helper in helpers { sum = sum + (await helper.figures()) }
        return sum
    }
}
