// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import Logging
import NIOHTTP1
import ServiceLifecycle

/// The focus: media workers, the room directory, and the routes that clients and server SDKs use.
///
/// Whoever runs it registers the routes on the HTTP server of its choice, next to its own.
package final class FocusServer: Service {
    package let directory: RoomDirectory
    package let mirrors: MirrorDirectory
    package let signalRefusals = SignalRefusals()
    private let configuration: FocusConfiguration
    private let workers: [MediaWorker]
    private let helpers: [TurnHelper]
    private let log: Logger

    /// Makes the workers and binds their ports.
    ///
    /// - Throws: ``SocketError`` when a port is taken, ``DTLSError`` when no certificate can be made.
    package init(configuration: FocusConfiguration, iceServers: any ICEServerProviding, log: Logger) throws {
        self.configuration = configuration
        self.log = log
        let certificate = try DTLSCertificate(unixTimeSeconds: UnixClock.seconds())
        let environment = FocusEnvironment(
            configuration: configuration, dtlsContext: try DTLSContext(certificate: certificate),
            iceServers: iceServers, signalRefusals: signalRefusals, log: log)
        let ended = RoomEndings()
        workers = try (0..<max(1, configuration.workerCount)).map { index in
            try MediaWorker(index: index, environment: environment) { name, sid in ended.report(name, sid: sid) }
        }
        // A turn has no more lanes than that.
        let helperCount = min(Int(SharedTurn.laneCount), configuration.processorCount - workers.count)
        helpers = try (0..<max(0, helperCount)).map { try TurnHelper(index: $0) }
        directory = RoomDirectory(workers: workers, helpers: helpers, configuration: configuration)
        mirrors = MirrorDirectory(workers: workers)
        ended.directory = directory
        MediaWorker.introduce(workers, helpers)
        for worker in workers { try worker.start() }
        for helper in helpers { try helper.start() }
    }

    /// The UDP ports in use, one for each worker.
    package var mediaPorts: [UInt16] { workers.map(\.mediaPort) }

    /// Adds the signal, validate, RoomService and health routes, at the root and below each prefix.
    package func registerRoutes(on router: inout HTTPRouter, prefixes: [String] = []) {
        let verifier = AccessTokenVerifier(keys: configuration.keys)
        let all = [""] + prefixes
        SignalRoutes(
            configuration: configuration, directory: directory, verifier: verifier, refusals: signalRefusals
        ).register(on: &router, prefixes: all)
        RoomServiceRoutes(configuration: configuration, directory: directory, verifier: verifier)
            .register(on: &router, prefixes: all)
        // Clients ask for the address they were given, with or without a slash at the end.
        for path in all.map({ $0 + "/" }) + prefixes where !path.isEmpty {
            router.on(.GET, path) { _, _ in .text("OK") }
        }
    }

    /// Runs until shutdown, then ends the rooms: clients are told to reconnect.
    package func run() async throws {
        // Also when the task is cancelled: threads and sockets must not stay.
        try? await gracefulShutdown()
        stop()
    }

    func stop() {
        for worker in workers { worker.stop() }
        for helper in helpers { helper.stop() }
    }
}

/// Carries the news of ended rooms from the workers' threads to the directory.
private final class RoomEndings: @unchecked Sendable {
    // Safety of @unchecked: written once, before the workers' threads start.
    weak var directory: RoomDirectory?

    func report(_ name: String, sid: String) {
        guard let directory else { return }
        Task { await directory.roomEnded(name, sid: sid) }
    }
}
