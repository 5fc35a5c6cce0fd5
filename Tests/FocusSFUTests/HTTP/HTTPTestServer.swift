// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import NIOConcurrencyHelpers
import NIOHTTP1
import NIOPosix
import Testing

@testable import FocusSFU

/// A server on an ephemeral loopback port for the length of one script.
struct HTTPTestServer {
    let server: HTTPServer

    /// Runs `script` on a thread of its own, because it blocks on sockets; then cancels the server and waits for it.
    static func run(
        _ router: HTTPRouter,
        configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ script: @escaping @Sendable (HTTPTestServer) throws -> Void
    ) async throws {
        var configuration = HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0)
        // A ping that a slow machine makes due would stand between the frames that a script expects.
        configuration.webSocketPingInterval = .seconds(600)
        configure(&configuration)
        let server = try await HTTPServer.bind(
            configuration,
            router: router,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            try await onThread { try script(HTTPTestServer(server: server)) }
        }
    }

    static func onThread(_ work: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue(label: "script").async { continuation.resume(with: Result(catching: work)) }
        }
    }

    func client(receiveBuffer: Int32? = nil) throws -> RawHTTPClient {
        try RawHTTPClient(port: server.port, receiveBuffer: receiveBuffer)
    }

    /// A client whose upgrade of `path` has been accepted.
    func webSocket(_ path: String = "/rtc", receiveBuffer: Int32? = nil) throws -> RawHTTPClient {
        let client = try client(receiveBuffer: receiveBuffer)
        client.send(Self.upgrade(path))
        let response = try client.readResponse()
        #expect(response.status == 101)
        return client
    }

    static func upgrade(_ path: String, version: String = "13", key: String = "dGhlIHNhbXBsZSBub25jZQ==") -> String {
        """
        GET \(path) HTTP/1.1\r
        Host: localhost\r
        Connection: keep-alive, Upgrade\r
        Upgrade: websocket\r
        Sec-WebSocket-Version: \(version)\r
        Sec-WebSocket-Key: \(key)\r
        Sec-WebSocket-Extensions: permessage-deflate\r
        \r

        """
    }

    static func get(_ path: String, _ fields: String...) -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
    }
}

/// Records what a WebSocket's owner hears, and lets a thread wait for it.
final class WebSocketRecorder: WebSocketHandler {
    enum Event: Equatable, Sendable {
        case message(WebSocketMessage)
        case closed(WebSocketCloseReason)
        case shuttingDown
    }

    let connection: WebSocketConnection
    /// Called for each message, in place of the default, which sends it back.
    private let react: @Sendable (WebSocketConnection, WebSocketMessage) -> Void
    private let log: Log

    /// Shared by all owners that one route makes.
    final class Log: Sendable {
        private let events = NIOLockedValueBox<[Event]>([])
        private let arrived = DispatchSemaphore(value: 0)

        func add(_ event: Event) {
            events.withLockedValue { $0.append(event) }
            arrived.signal()
        }

        /// The next event not yet taken; nil after 20 seconds without one.
        func next() -> Event? {
            guard arrived.wait(timeout: .now() + 20) == .success else { return nil }
            return events.withLockedValue { $0.removeFirst() }
        }
    }

    init(
        _ connection: WebSocketConnection,
        _ log: Log,
        react: @escaping @Sendable (WebSocketConnection, WebSocketMessage) -> Void = WebSocketRecorder.echo
    ) {
        self.connection = connection
        self.log = log
        self.react = react
    }

    func received(_ message: WebSocketMessage) {
        log.add(.message(message))
        react(connection, message)
    }

    func closed(_ reason: WebSocketCloseReason) {
        log.add(.closed(reason))
    }

    func serverShuttingDown() {
        log.add(.shuttingDown)
    }

    @Sendable static func echo(_ connection: WebSocketConnection, _ message: WebSocketMessage) {
        switch message {
        case .binary(let bytes): connection.send(binary: bytes)
        case .text(let text): connection.send(text: text)
        }
    }
}

extension HTTPRouter {
    /// `/rtc` accepts every upgrade that has no `refuse` in its query.
    static func webSocket(
        _ log: WebSocketRecorder.Log,
        react: @escaping @Sendable (WebSocketConnection, WebSocketMessage) -> Void = WebSocketRecorder.echo
    ) -> HTTPRouter {
        var router = HTTPRouter()
        router.webSocket("/rtc") { request in
            if let reason = request.queryValue("refuse") {
                return .refuse(.text(reason, status: .unauthorized))
            }
            return .accept { WebSocketRecorder($0, log, react: react) }
        }
        router.on(.GET, "/") { _, _ in .text("OK") }
        return router
    }
}
