// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import NIOConcurrencyHelpers

@testable import FocusSFU
@testable import MatrixBridge

/// A homeserver that takes events of rooms, holds those of some rooms until it is told, and refuses those of others.
actor RoomEventServer: HTTPTransport {
    private var gates: [String: (stream: AsyncStream<Void>, inlet: AsyncStream<Void>.Continuation)] = [:]
    private var statuses: [String: Int] = [:]
    private(set) var urls: [String] = []
    private var watchers: [(parts: [String], count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    /// Requests with this in their URL wait; each gate holds one.
    func hold(_ part: String) {
        let (stream, inlet) = AsyncStream<Void>.makeStream()
        gates[part] = (stream, inlet)
    }

    func release(_ part: String) {
        gates.removeValue(forKey: part)?.inlet.finish()
    }

    func refuse(_ part: String, with status: Int) {
        statuses[part] = status
    }

    func count(_ parts: [String]) -> Int {
        urls.count { url in parts.allSatisfy { url.contains($0) } }
    }

    /// Returns when so many requests came that have all parts in their URLs.
    func wait(for parts: String..., count wanted: Int = 1) async {
        guard count(parts) < wanted else { return }
        await withCheckedContinuation { watchers.append((parts, wanted, $0)) }
    }

    func send(_ request: HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse {
        urls.append(request.url)
        let reached = watchers.filter { count($0.parts) >= $0.count }
        watchers.removeAll { count($0.parts) >= $0.count }
        for watcher in reached { watcher.continuation.resume() }
        if let gate = gates.first(where: { request.url.contains($0.key) })?.value.stream {
            for await _ in gate {}
            if Task.isCancelled { throw .cancelled }
        }
        if let status = statuses.first(where: { request.url.contains($0.key) })?.value {
            return .error(status, "M_FORBIDDEN")
        }
        return .json(.object(["event_id": .string("$sent")]))
    }
}

/// Mirrors that answer everything.
actor FakeMirrors: LegacyCallMedia {
    private(set) var ended = 0
    private var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    func answer(_ sdp: String, mirror name: String) async throws(MirrorRefusal) -> MirrorDescription {
        MirrorDescription(sdp: "our answer", streamID: "S")
    }

    func offer(mirror name: String) async throws(MirrorRefusal) -> MirrorDescription {
        throw .nothingToOffer
    }

    func take(answer sdp: String, mirror name: String) async throws(MirrorRefusal) {}

    func state(ofMirror name: String) async -> MirrorState { .connecting }

    func end(mirror name: String) async {
        ended += 1
        for watcher in watchers where watcher.count <= ended { watcher.continuation.resume() }
        watchers.removeAll { $0.count <= ended }
    }

    func waitForEnd(count: Int = 1) async {
        guard ended < count else { return }
        await withCheckedContinuation { watchers.append((count, $0)) }
    }
}

/// An encrypted device that is not there.
actor NoDevice: RoomEventEncrypting {
    let rooms: Set<RoomID>
    private(set) var attempts = 0

    init(rooms: Set<RoomID>) {
        self.rooms = rooms
    }

    func isEncrypted(_ room: RoomID) async -> Bool { rooms.contains(room) }

    func encrypted(
        _ type: String, _ content: JSONObject, in room: RoomID,
    ) async throws(RoomEncryptionFailure) -> JSONObject {
        attempts += 1
        throw .noDevice("the test has none")
    }
}

/// A keeper of calls and everything around it.
struct FakeCallWorld {
    let server = RoomEventServer()
    let mirrors = FakeMirrors()
    let encryption: NoDevice
    let clock = SteppedClock()
    let facts = RoomFactsBook()
    let attempts = AttemptLog()
    let database: Database
    let keeper: LegacyCallKeeper
    private let file: TemporaryDatabase

    static let bot = FakeHomeserver.bot

    init(encrypted: Set<RoomID> = []) throws {
        file = try TemporaryDatabase()
        database = try Database(path: file.path)
        encryption = NoDevice(rooms: encrypted)
        let client = MatrixClient(
            transport: server, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken)
        keeper = LegacyCallKeeper(
            limits: LegacyCallLimits(),
            admission: LegacyCallAdmission(
                policy: AccessPolicy(localServer: FakeHomeserver.local),
                aliases: RoomAliasBook(aliases: [], client: client, clock: clock.clock)),
            media: mirrors, database: database, client: client, encryption: encryption, bot: Self.bot, facts: facts,
            attempts: attempts, clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func know(_ room: RoomID, _ user: UserID, isEncrypted: Bool = false) {
        var known = RoomFacts()
        known.joined = [user, Self.bot]
        known.isEncrypted = isEncrypted
        facts.set(known, of: room)
    }

    static func event(
        _ name: String, _ content: JSONObject = [:], in room: RoomID, from user: UserID, call: String = "c",
        encryptedBy device: DeviceID? = nil,
    ) -> LegacyCallEvent? {
        var whole = content
        whole["call_id"] = .string(call)
        whole["version"] = .string("1")
        whole["party_id"] = .string("P")
        guard let id = EventID("$event") else { return nil }
        let event = RoomEvent(
            type: "m.call.\(name)", sender: user, roomID: room, eventID: id, originServerTimestamp: 0,
            content: whole, age: 0, encryptingDevice: device)
        guard case .legacy(let decoded) = CallEvent.decode(event) else { return nil }
        return decoded
    }

    static func invite(
        in room: RoomID, from user: UserID, call: String = "c", sdp: String = "their offer",
        encryptedBy device: DeviceID? = nil,
    ) -> LegacyCallEvent? {
        event(
            "invite",
            [
                "lifetime": .integer(60_000),
                "offer": .object(["type": .string("offer"), "sdp": .string(sdp)]),
            ], in: room, from: user, call: call, encryptedBy: device)
    }

    var stored: [LegacyCallEnd] {
        get async throws { try await database.read { try LegacyCallStore.load(from: $0) } }
    }
}
