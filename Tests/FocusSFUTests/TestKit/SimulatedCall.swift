// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Glibc
import Logging
import NIOConcurrencyHelpers

@testable import FocusSFU

/// A focus on ephemeral loopback ports and the clients that one script lets in. Scripts wait on events alone.
final class SimulatedCall {
    struct Timeout: Error, CustomStringConvertible {
        var description: String
    }

    private struct NoICEServers: ICEServerProviding {
        func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] {
            [ICEServerEntry(urls: ["stun:stun.example.com"])]
        }
    }

    static let key = APIKey(name: "devkey", secret: "a secret of the tests, 32 letters long")

    let focus: FocusServer
    let port: Int
    private(set) var peers: [SimulatedPeer] = []

    private init(focus: FocusServer, port: Int) {
        self.focus = focus
        self.port = port
    }

    /// Runs `script` on a thread of its own.
    static func run(
        configure: (inout FocusConfiguration) -> Void = { _ in },
        _ script: @escaping @Sendable (SimulatedCall) throws -> Void
    ) async throws {
        var configuration = FocusConfiguration(
            keys: try APIKeySet(secrets: [key.name: "a secret of the tests, 32 letters long"]))
        configuration.mediaPort = 0
        configuration.advertisedAddresses = ["127.0.0.1"]
        configure(&configuration)
        let focus = try FocusServer(
            configuration: configuration, iceServers: NoICEServers(),
            log: Logger(label: "focus", factory: { _ in SwiftLogNoOpLogHandler() }))
        defer { for worker in focus.directory.workers { worker.stop() } }
        var router = HTTPRouter()
        focus.registerRoutes(on: &router, prefixes: ["/livekit/sfu"])
        try await HTTPTestServer.run(router) { server in
            try script(SimulatedCall(focus: focus, port: server.server.port))
        }
    }

    var worker: MediaWorker { focus.directory.workers[0] }

    static func token(
        _ identity: String, room: String = "room", change: (inout TokenClaims) -> Void = { _ in }
    ) throws -> String {
        var claims = TokenClaims()
        claims.issuer = key.name
        claims.identity = identity
        claims.name = identity.uppercased()
        claims.expiry = UnixClock.seconds() + 3_600
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.room = room
        claims.video = grant
        change(&claims)
        return try AccessToken.sign(claims, with: key)
    }

    /// Opens the signal socket and returns at once.
    func enter(
        _ identity: String, _ generation: SimulatedPeer.Generation = .single, room: String = "room",
        answerSetup: String = "active", spareSections: Int = 1, autoSubscribe: Bool = true, clientProtocol: Int32 = 16,
        extraQuery: String = "", offersData: Bool = true, sdk: LiveKitClientInfo.SDK = .js,
        claims: (inout TokenClaims) -> Void = { _ in }
    ) throws -> SimulatedPeer {
        let peer = try SimulatedPeer(
            port: port, identity: identity, token: Self.token(identity, room: room, change: claims),
            generation: generation, answerSetup: answerSetup, spareSections: spareSections,
            autoSubscribe: autoSubscribe, clientProtocol: clientProtocol, extraQuery: extraQuery,
            offersData: offersData, sdk: sdk)
        peers.append(peer)
        return peer
    }

    /// Lets a client in and waits until it is active.
    func join(
        _ identity: String, _ generation: SimulatedPeer.Generation = .single, room: String = "room",
        answerSetup: String = "active", spareSections: Int = 1, autoSubscribe: Bool = true, clientProtocol: Int32 = 16,
        offersData: Bool = true, sdk: LiveKitClientInfo.SDK = .js, claims: (inout TokenClaims) -> Void = { _ in }
    ) throws -> SimulatedPeer {
        let peer = try enter(
            identity, generation, room: room, answerSetup: answerSetup, spareSections: spareSections,
            autoSubscribe: autoSubscribe, clientProtocol: clientProtocol, offersData: offersData, sdk: sdk,
            claims: claims)
        try wait("\(identity) is active") {
            peer.downstream.isConnected && peer.participants[peer.join?.participant.sid ?? ""]?.state == .active
        }
        return peer
    }

    /// Publishes and waits until `receivers` know where the track will come.
    func publish(
        _ cid: String, isVideo: Bool, by peer: SimulatedPeer, to receivers: [SimulatedPeer],
        firstSequence: UInt16 = 1000
    ) throws -> SimulatedTrack {
        let track = peer.publish(cid, isVideo: isVideo, firstSequence: firstSequence)
        try wait("\(cid) is published and subscribed") {
            !track.sid.isEmpty && peer.publisher.isConnected
                && receivers.allSatisfy { $0.incoming[track.sid] != nil && $0.downstream.isConnected }
        }
        try settle(receivers)
        return track
    }

    /// Waits until the worker has taken everything that peers have sent so far on their signal sockets.
    func settle(_ peers: [SimulatedPeer]) throws {
        for peer in peers {
            let before = peer.requestResponses.count
            // An unknown track: refused by the worker, after all that came before.
            var mute = LiveKitMuteTrackRequest()
            mute.sid = "TR_none"
            peer.send(.mute(mute))
            try wait("\(peer.identity)'s requests are done") {
                peer.requestResponses.count > before
            }
        }
    }

    /// Carries datagrams and signal messages until the condition holds.
    func wait(_ expectation: String, seconds: UInt64 = 20, until isMet: () throws -> Bool) throws {
        let deadline = MonotonicClock.now().advanced(byMilliseconds: seconds * 1000)
        while true {
            let now = MonotonicClock.now()
            for peer in peers { try peer.advance(to: now) }
            if try isMet() { return }
            guard now < deadline else { throw Timeout(description: "timed out: \(expectation)") }
            var descriptors = peers.flatMap(\.descriptors).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&descriptors, nfds_t(descriptors.count), 10)
        }
    }

    /// Sends one packet after the other until the condition holds; for what only traffic brings about.
    func wait(
        _ expectation: String, sending: () -> Void, everyMilliseconds interval: UInt64 = 20,
        until isMet: () throws -> Bool
    ) throws {
        var next = MonotonicClock.now()
        try wait(expectation) {
            if try isMet() { return true }
            let now = MonotonicClock.now()
            if now >= next {
                sending()
                next = now.advanced(byMilliseconds: interval)
            }
            return false
        }
    }

    /// The result of an asynchronous question, asked from the script's thread.
    func ask<Value: Sendable>(_ question: @escaping @Sendable (FocusServer) async -> Value) -> Value? {
        let box = NIOLockedValueBox<Value?>(nil)
        let done = DispatchSemaphore(value: 0)
        let focus = focus
        Task {
            let value = await question(focus)
            box.withLockedValue { $0 = value }
            done.signal()
        }
        done.wait()
        return box.withLockedValue { $0 }
    }

    /// Looks at a room on its worker.
    func inRoom<Value: Sendable>(_ look: @escaping @Sendable (Room) -> Value) -> Value? {
        let value = ask { focus -> Value? in
            try? await focus.directory.workers[0].administer(room: "room") { room throws(RoomServiceError) in
                look(room)
            }
        }
        return value ?? nil
    }

    /// A call of the server API in JSON.
    func post(_ method: String, _ body: String, token: String?) throws -> RawHTTPClient.Response {
        let client = try RawHTTPClient(port: port)
        let path = method.contains("/") ? method : "livekit.RoomService/\(method)"
        let authorization = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        client.send(
            "POST /twirp/\(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\(authorization)"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return try client.readResponse()
    }

    /// A token for everything the server API has.
    static func administrator(room: String = "room") throws -> String {
        try token("", room: room) { claims in
            claims.video?.roomAdmin = true
            claims.video?.roomCreate = true
            claims.video?.roomList = true
            claims.video?.roomRecord = true
        }
    }

    func drops(_ reason: DropReason) -> UInt64 {
        ask { await $0.directory.figures().drops[reason] } ?? 0
    }

    /// Holds the media thread while `work` runs, so that all it sends is read as one batch.
    func holdingWorker(_ work: () -> Void) {
        let held = DispatchSemaphore(value: 0)
        let release = DispatchSemaphore(value: 0)
        worker.post { _ in
            held.signal()
            release.wait()
        }
        held.wait()
        work()
        release.signal()
    }
}
