// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging
import NIOConcurrencyHelpers
import Synchronization

/// One thread with its UDP port and the rooms that live on it. The actor's executor is that thread, so everything a
/// room touches is touched there alone; other threads ask by `await` or ``post(_:)``.
package actor MediaWorker: EpollLoop.Client {
    package nonisolated let index: Int
    private nonisolated let loop: EpollLoop
    nonisolated let signalRefusals: SignalRefusals
    private nonisolated let socket: Int32
    package nonisolated let mediaPort: UInt16
    private nonisolated let shared: SharedTurn
    private nonisolated let neighbours = Neighbours()
    private let log: Logger
    /// Touched on the loop's thread alone, by this actor and by what the loop calls. Proving that anew at every
    /// datagram (`assumeIsolated`) would cost as much as reading it.
    private nonisolated(unsafe) let plane: MediaPlane
    private var rooms: [String: Room] = [:]
    private var mirrors: [String: MirrorRoom] = [:]
    private var participants: [ObjectIdentifier: Participant] = [:] {
        didSet { population.store(participants.count, ordering: .relaxed) }
    }
    /// Sessions on this worker, for whoever decides where the next room goes.
    nonisolated let population = Atomic<Int>(0)
    private let onRoomEnded: @Sendable (_ name: String, _ sid: String) -> Void

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(
        index: Int, environment: FocusEnvironment,
        onRoomEnded: @escaping @Sendable (_ name: String, _ sid: String) -> Void
    ) throws {
        self.index = index
        self.onRoomEnded = onRoomEnded
        let loop = try EpollLoop()
        self.loop = loop
        log = environment.log
        signalRefusals = environment.signalRefusals
        let box = WorkerReference()
        let plane = try MediaPlane(environment: environment, workerIndex: index, neighbours: neighbours) { id in
            box.worker?.post { worker in worker.dataReady(id) }
        }
        socket = plane.socket
        mediaPort = plane.port
        shared = plane.shared
        self.plane = plane
        box.set(self)
    }

    /// Lets these help each other with large turns. Before any of them starts.
    static func introduce(_ workers: [MediaWorker], _ helpers: [TurnHelper]) {
        for worker in workers {
            let others = workers.filter { $0 !== worker }
            worker.neighbours.set(turns: others.map(\.shared), loops: others.map(\.loop) + helpers.map(\.loop))
        }
        for helper in helpers { helper.introduce(to: workers.map(\.shared)) }
    }

    /// Starts the thread.
    nonisolated func start() throws {
        try loop.start(socket: socket, client: self, name: "media-\(index)")
    }

    nonisolated func stop() {
        post { worker in worker.closeAllRooms() }
        loop.stop()
    }

    /// Runs `body` on this worker, after what was posted before it.
    nonisolated func post(_ body: @escaping @Sendable (isolated MediaWorker) -> Void) {
        loop.submit { [self] in
            assumeIsolated { worker in
                worker.plane.updateTime()
                body(worker)
                worker.plane.egress.flush()
            }
        }
    }

    // MARK: The loop

    package nonisolated func socketBecameReadable() -> Int {
        plane.receive()
    }

    package nonisolated func tick() {
        assumeIsolated { $0.advance() }
    }

    package nonisolated func willSleep() {
        plane.announceChanges()
    }

    package nonisolated func help() {
        plane.help()
    }

    private func advance() {
        plane.updateTime()
        let now = plane.now
        plane.offers.tickBegins(at: now)
        // One worker does it for all.
        if index == 0 { SCTPStack.process.advance(to: now) }
        for room in rooms.values {
            room.advance(to: now)
            if room.hasExpired(at: now) { end(room, reason: .roomClosed) }
        }
        for mirror in mirrors.values { mirror.advance(to: now) }
        plane.egress.flush()
    }

    // MARK: Rooms

    func createRoom(named name: String, wishes: RoomSettings.Wishes, otherwise settings: RoomSettings) -> LiveKitRoom {
        plane.updateTime()
        if let room = rooms[name] {
            room.change(wishes)
            return room.info
        }
        let room = Room(
            name: name, settings: settings.applying(wishes), plane: plane, log: log,
            unixMilliseconds: UnixClock.milliseconds())
        rooms[name] = room
        log.info("room created", metadata: ["room": .string(name), "sid": .string(room.sid)])
        return room.info
    }

    func allRooms() -> [LiveKitRoom] {
        rooms.values.map(\.info)
    }

    /// Whether a room has no place for this identity. One that is inside already takes its own place.
    func isFull(room name: String, for identity: String) -> Bool {
        guard let room = rooms[name] else { return false }
        return room.isFull && room.participants[identity] == nil
    }

    func deleteRoom(named name: String) -> Bool {
        guard let room = rooms[name] else { return false }
        plane.updateTime()
        end(room, reason: .roomDeleted)
        plane.egress.flush()
        return true
    }

    private func end(_ room: Room, reason: LiveKitDisconnectReason) {
        for participant in room.order { room.remove(participant, reason: reason, action: .disconnect) }
        rooms[room.name] = nil
        log.info("room ended", metadata: ["room": .string(room.name), "reason": .string("\(reason)")])
        onRoomEnded(room.name, room.sid)
    }

    private func closeAllRooms() {
        // Reconnecting clients find the next process.
        for room in rooms.values {
            for participant in room.order { room.remove(participant, reason: .serverShutdown, action: .reconnect) }
        }
        rooms.removeAll()
        for mirror in mirrors.values { mirror.close() }
        mirrors.removeAll()
        plane.egress.flush()
    }

    // MARK: Mirrors

    /// Answers an offer to the mirror of a name, which is made if it is not there.
    func answer(_ sdp: String, mirror name: String) throws(MirrorRefusal) -> MirrorDescription {
        plane.updateTime()
        defer { plane.egress.flush() }
        if let mirror = mirrors[name] { return try mirror.answer(sdp) }
        let mirror = try makeMirror(name)
        do throws(MirrorRefusal) {
            let answer = try mirror.answer(sdp)
            mirrors[name] = mirror
            return answer
        } catch {
            mirror.close()
            throw error
        }
    }

    /// An offer of a new mirror.
    func offer(mirror name: String) throws(MirrorRefusal) -> MirrorDescription {
        plane.updateTime()
        endMirror(name)
        let mirror = try makeMirror(name)
        do throws(MirrorRefusal) {
            let offer = try mirror.offer()
            mirrors[name] = mirror
            return offer
        } catch {
            mirror.close()
            throw error
        }
    }

    func take(answer sdp: String, mirror name: String) throws(MirrorRefusal) {
        plane.updateTime()
        defer { plane.egress.flush() }
        guard let mirror = mirrors[name] else { throw .nothingOffered }
        try mirror.take(answer: sdp)
    }

    private func makeMirror(_ name: String) throws(MirrorRefusal) -> MirrorRoom {
        guard plane.hasRoomForHandshake else {
            plane.count(.dtlsTooManyHandshakes)
            throw .tooManyHandshakes
        }
        return MirrorRoom(name: name, plane: plane, log: log)
    }

    /// A mirror whose peer is gone is forgotten.
    func mirrorState(_ name: String) -> MirrorState {
        let state = mirrors[name]?.state ?? .absent
        if state == .absent { mirrors[name] = nil }
        return state
    }

    func endMirror(_ name: String) {
        plane.updateTime()
        mirrors.removeValue(forKey: name)?.close()
        plane.egress.flush()
    }

    // MARK: Sessions

    /// Lets a client in on an open socket, or resumes its session. Refusals are leave messages: the socket is open.
    func join(
        room name: String, identity: String, claims: TokenClaims, parameters: JoinParameters, session: SignalSession
    ) {
        func refuse(_ reason: LiveKitDisconnectReason, _ action: LiveKitLeaveRequest.Action) {
            self.refuse(session, reason: reason, action: action)
        }
        guard let room = rooms[name] else { return refuse(.joinFailure, .disconnect) }
        if parameters.isReconnect {
            guard let participant = room.participants[identity], participant.sid == parameters.participantSID else {
                return refuse(.stateMismatch, .reconnect)
            }
            participant.resume(with: session, claims: claims, parameters: parameters)
            participants[ObjectIdentifier(session)] = participant
            // The latest token counts, also for what it no longer allows.
            participant.takeRights(of: claims)
            return
        }
        // Before the earlier session goes: the others are not told that it did.
        guard plane.hasRoomForHandshake else {
            plane.count(.dtlsTooManyHandshakes)
            return refuse(.joinFailure, .disconnect)
        }
        if let previous = room.participants[identity] {
            room.remove(previous, reason: .duplicateIdentity, action: .disconnect, isReplaced: true)
        } else if room.isFull {
            return refuse(.joinFailure, .disconnect)
        }
        guard room.hasPlace(for: identity, of: claims) else {
            signalRefusals.count(.tooManySessions)
            return refuse(.joinFailure, .disconnect)
        }
        let participant = room.join(
            identity: identity, claims: claims, parameters: parameters, signal: session,
            unixMilliseconds: UnixClock.milliseconds())
        participants[ObjectIdentifier(session)] = participant
    }

    /// Says no on an open socket.
    func refuse(_ session: SignalSession, reason: LiveKitDisconnectReason, action: LiveKitLeaveRequest.Action) {
        var leave = LiveKitLeaveRequest()
        leave.reason = reason
        leave.action = action
        leave.canReconnect = action != .disconnect
        session.send(.leave(leave))
        session.close(reason: "join refused")
    }

    func signalReceived(_ message: LiveKitSignalRequest.OneOf_Message, from session: SignalSession) {
        guard let participant = participants[ObjectIdentifier(session)], participant.signal === session else { return }
        participant.received(message)
    }

    func signalClosed(_ session: SignalSession) {
        participants.removeValue(forKey: ObjectIdentifier(session))?.signalLost(session)
    }

    /// Output of a data association that no packet of its own caused.
    func dataReady(_ id: SCTPAssociationID) {
        plane.drainData(of: id)
    }

    // MARK: Administration

    func administer<Result: Sendable>(
        room name: String, _ body: @Sendable (Room) throws(RoomServiceError) -> Result
    ) throws(RoomServiceError) -> Result {
        guard let room = rooms[name] else { throw .notFound("requested room does not exist") }
        plane.updateTime()
        let result = try body(room)
        plane.egress.flush()
        return result
    }

    /// Figures for the metrics page.
    func figures() -> WorkerFigures {
        WorkerFigures(
            rooms: rooms.count,
            participants: rooms.values.reduce(0) { $0 + $1.order.count },
            tracks: rooms.values.reduce(0) { $0 + $1.order.reduce(0) { $0 + $1.publications.tracks.count } },
            packetsReceived: plane.packetsReceived, packetsForwarded: plane.packetsForwarded,
            datagramsSent: plane.datagramsSent, messagesSent: plane.messagesSent, drops: plane.dropCounters)
    }
}

/// Plain numbers of one worker.
package struct WorkerFigures: Sendable {
    package var rooms = 0
    package var participants = 0
    package var tracks = 0
    package var packetsReceived: UInt64 = 0
    package var packetsForwarded: UInt64 = 0
    package var datagramsSent: UInt64 = 0
    package var messagesSent: UInt64 = 0
    package var drops = DropCounters()

    package static func + (left: Self, right: Self) -> Self {
        Self(
            rooms: left.rooms + right.rooms, participants: left.participants + right.participants,
            tracks: left.tracks + right.tracks, packetsReceived: left.packetsReceived &+ right.packetsReceived,
            packetsForwarded: left.packetsForwarded &+ right.packetsForwarded,
            datagramsSent: left.datagramsSent &+ right.datagramsSent,
            messagesSent: left.messagesSent &+ right.messagesSent,
            drops: left.drops + right.drops)
    }
}

/// Lets the plane's wake-up reach the worker that is made after it.
private final class WorkerReference: Sendable {
    private let reference = NIOLockedValueBox<Weak>(Weak())

    private struct Weak: Sendable {
        weak var worker: MediaWorker?
    }

    var worker: MediaWorker? { reference.withLockedValue { $0.worker } }

    func set(_ worker: MediaWorker) {
        reference.withLockedValue { $0.worker = worker }
    }
}
