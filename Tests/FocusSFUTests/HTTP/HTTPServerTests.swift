// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Glibc
import NIOHTTP1
import NIOPosix
import ServiceLifecycleTestKit
import Testing

@testable import FocusSFU

@Suite("HTTP server: connections and shutdown")
struct HTTPServerTests {
    @Test("a connection over the limit is answered 503; room is made again when one closes")
    func connectionLimit() async throws {
        try await HTTPTestServer.run(
            .webSocket(WebSocketRecorder.Log()),
            configure: { $0.connectionLimit = 1 }
        ) { test in
            let first = try test.client()
            first.send(HTTPTestServer.get("/"))
            #expect(try first.readResponse().status == 200)

            let second = try test.client()
            let refused = try second.readResponse()
            #expect(refused.status == 503)
            #expect(refused.values("Access-Control-Allow-Origin") == ["*"])
            #expect(test.server.refusals[.tooManyConnections] == 1)

            first.send(HTTPTestServer.get("/", "Connection: close"))
            #expect(try first.readResponse().status == 200)
            #expect(try first.readToEnd().isEmpty)
            first.close()
            while test.server.connectionCount > 0 { sched_yield() }
            let third = try test.client()
            third.send(HTTPTestServer.get("/"))
            #expect(try third.readResponse().status == 200)
        }
    }

    @Test("all addresses share the port that the system chose")
    func severalAddresses() async throws {
        try await HTTPTestServer.run(
            .webSocket(WebSocketRecorder.Log()),
            configure: { $0.addresses = ["127.0.0.2", "127.0.0.1"] }
        ) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().status == 200)
        }
    }

    @Test("both wildcards can be bound to one port", .enabled(if: access("/proc/net/if_inet6", R_OK) == 0))
    func wildcards() async throws {
        try await HTTPTestServer.run(
            .webSocket(WebSocketRecorder.Log()),
            configure: { $0.addresses = ["::", "0.0.0.0"] }
        ) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().status == 200)
        }
    }

    @Test("an address of another host is an error")
    func addressOfAnotherHost() async throws {
        await #expect(throws: (any Error).self) {
            _ = try await HTTPServer.bind(
                HTTPServerConfiguration(addresses: ["127.0.0.1", "192.0.2.1"], port: 0),
                router: HTTPRouter(),
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton
            )
        }
    }

    @Test(
        "graceful shutdown: a running request is answered, an idle connection closed, a WebSocket told and closed 1001")
    func gracefulShutdown() async throws {
        let log = WebSocketRecorder.Log()
        let asked = DispatchSemaphore(value: 0)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        var router = HTTPRouter.webSocket(log)
        router.on(.GET, "/slow") { _, _ in
            asked.signal()
            for await _ in gate { break }
            return .text("late")
        }
        var configuration = HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0)
        configuration.webSocketLinger = .milliseconds(20)
        let server = try await HTTPServer.bind(
            configuration,
            router: router,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton
        )
        try await testGracefulShutdown { trigger in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await HTTPTestServer.onThread {
                    let test = HTTPTestServer(server: server)
                    let idle = try test.client()
                    idle.send(HTTPTestServer.get("/"))
                    #expect(try idle.readResponse().status == 200)
                    let socket = try test.webSocket()
                    let slow = try test.client()
                    slow.send(HTTPTestServer.get("/slow"))
                    asked.wait()

                    trigger.triggerGracefulShutdown()
                    #expect(try idle.readToEnd().isEmpty)
                    #expect(log.next() == .shuttingDown)
                    let close = try socket.readFrame()
                    #expect(close.closeCode == 1001)
                    socket.sendFrame(8, close.payload)
                    #expect(try socket.readToEnd().isEmpty)
                    #expect(log.next() == .closed(.local(code: .goingAway, reason: "server is shutting down")))
                    #expect(throws: RawHTTPClient.Fault.self) { try test.client() }

                    open.yield()
                    let late = try slow.readResponse()
                    #expect(late.text == "late")
                    #expect(late.values("Connection") == ["close"])
                    #expect(try slow.readToEnd().isEmpty)
                }
                try await group.waitForAll()
            }
        }
        #expect(server.connectionCount == 0)
    }

    @Test("a shutdown ends after its grace although a request and a WebSocket hang")
    func boundedShutdown() async throws {
        let log = WebSocketRecorder.Log()
        let asked = DispatchSemaphore(value: 0)
        var router = HTTPRouter.webSocket(log)
        router.on(.GET, "/hang") { _, _ in
            asked.signal()
            for await _ in AsyncStream<Void>.makeStream().stream {}
            return .empty(.ok)
        }
        var configuration = HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0)
        configuration.shutdownGrace = .milliseconds(50)
        configuration.webSocketLinger = .seconds(30)
        let server = try await HTTPServer.bind(
            configuration,
            router: router,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton
        )
        try await testGracefulShutdown { trigger in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await HTTPTestServer.onThread {
                    let test = HTTPTestServer(server: server)
                    let socket = try test.webSocket()
                    let hanging = try test.client()
                    hanging.send(HTTPTestServer.get("/hang"))
                    asked.wait()
                    trigger.triggerGracefulShutdown()
                    #expect(try hanging.readToEnd().isEmpty)
                    #expect(try socket.readToEnd().isEmpty)
                    #expect(log.next() == .shuttingDown)
                    #expect(log.next() == .closed(.lost))
                }
                try await group.waitForAll()
            }
        }
    }
}
