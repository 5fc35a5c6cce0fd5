// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Logging
import NIOPosix

/// A call that a new process makes with itself, to find out whether media works on this machine and to have the code of
/// a call in memory before the first real one needs it.
///
/// Two participants, HTTP, ICE, DTLS and SRTP, all over loopback, through a focus of its own with ports that the system
/// chooses: nothing of it is seen in the real one.
package enum SelfTest {
    package enum Outcome: Sendable {
        /// Microseconds from the listener's request to its first media packet.
        case passed(firstPacketMicroseconds: UInt64)
        /// What did not work.
        case failed(String)
    }

    /// Makes the call; takes about two seconds, nearly all of which is waiting.
    package static func run() async -> Outcome {
        do {
            let key = APIKey(name: "self-test", secret: Base64URL.encode(Random.bytes(32)))
            var configuration = FocusConfiguration(keys: APIKeySet(keys: [key]))
            configuration.mediaPort = 0
            configuration.mediaBindAddress = "127.0.0.1"
            configuration.advertisedAddresses = ["127.0.0.1"]
            let focus = try FocusServer(
                configuration: configuration, iceServers: NoICEServers(),
                log: Logger(label: "self-test") { _ in SwiftLogNoOpLogHandler() })
            defer { focus.stop() }
            var router = HTTPRouter()
            focus.registerRoutes(on: &router)
            let server = try await HTTPServer.bind(
                HTTPServerConfiguration(addresses: ["127.0.0.1"], port: 0), router: router,
                eventLoopGroup: MultiThreadedEventLoopGroup.singleton)
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                defer { group.cancelAll() }
                var plan = LoadTestPlan(
                    url: try SignalURL("ws://127.0.0.1:\(server.port)"), admission: .key(key), room: "self-test",
                    roles: LoadTestPlan.broadcast(publishers: 1, subscribers: 1, audio: true, video: true))
                plan.durationSeconds = 0
                let report = try await call(plan)
                guard report.failed == 0, report.missingTracks == 0, let first = report.joinTime.max else {
                    return .failed(report.failures.first ?? "no media arrived")
                }
                return .passed(firstPacketMicroseconds: first)
            }
        } catch {
            return .failed("\(error)")
        }
    }

    /// The callers wait on sockets, which no task may do.
    private static func call(_ plan: LoadTestPlan) async throws -> LoadTestReport {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "self-test").async {
                continuation.resume(with: Result { try LoadTestRun(plan) { _ in }.run() })
            }
        }
    }

    private struct NoICEServers: ICEServerProviding {
        func iceServers(forIdentity identity: String, unixSeconds: Int64) -> [ICEServerEntry] { [] }
    }
}
