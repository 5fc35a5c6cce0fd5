// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Logging
import NIOPosix
import Testing

@testable import FocusSFU

@Suite("An echo in a call of this process", .serialized)
struct EchoParticipantTests {
    static let key = APIKey(name: "echo-test", secret: "a secret of thirty-two characters or more")

    /// A focus over loopback while `body` runs.
    static func withFocus(_ body: (SignalURL) async throws -> Void) async throws {
        var configuration = FocusConfiguration(keys: APIKeySet(keys: [key]))
        configuration.mediaPort = 0
        // An address that nobody reaches: as that of a machine behind NAT.
        configuration.advertisedAddresses = ["192.0.2.1"]
        let focus = try FocusServer(
            configuration: configuration, iceServers: NoICEServers(),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        defer { focus.stop() }
        var router = HTTPRouter()
        focus.registerRoutes(on: &router)
        let server = try await HTTPServer.bind(
            HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0), router: router,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            try await body(try SignalURL("ws://127.0.0.1:\(server.port)"))
        }
    }

    static func token(_ identity: String, room: String = "echo") throws -> String {
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.roomCreate = true
        grant.room = room
        grant.canPublish = true
        grant.canSubscribe = true
        var claims = TokenClaims()
        claims.identity = identity
        claims.notBefore = UnixClock.seconds() - 10
        claims.expiry = UnixClock.seconds() + 600
        claims.video = grant
        return try AccessToken.sign(claims, with: key)
    }

    @Test("it comes in by loopback, though the focus offers another address, and goes when told")
    func comesAndGoes() async throws {
        try await Self.withFocus { url in
            let echo = EchoParticipant(.init(url: url, token: try Self.token("echo")))
            async let ending = echo.run()
            let deadline = ContinuousClock.now + .seconds(60)
            while !echo.progress.isConnected, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(echo.progress.isConnected)
            echo.stop()
            #expect(await ending == .stopped)
        }
    }

    @Test("turned away, it says why")
    func refused() async throws {
        try await Self.withFocus { url in
            let echo = EchoParticipant(.init(url: url, token: "no token"))
            guard case .failed(let reason) = await echo.run() else {
                Issue.record("it came in without a token")
                return
            }
            #expect(reason.contains("401"))
        }
    }

    private struct NoICEServers: ICEServerProviding {
        func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] { [] }
    }
}
