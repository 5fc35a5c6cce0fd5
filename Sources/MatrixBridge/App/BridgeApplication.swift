// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import UnixSignals

/// Builds the services from the configuration and runs them until a signal ends them. Decides nothing else.
///
/// Services stop in reverse order: the socket server says goodbye, then the media workers end their rooms.
enum BridgeApplication {
    static func serve(_ configuration: BridgeConfiguration) async throws {
        let logLevels = LogLevels(configuration.logging)
        let log = LogSetup.makeLogger(configuration.logging, levels: logLevels)
        let keys: APIKeySet
        do throws(APIKeyFault) {
            keys = try configuration.keys.keySet()
        } catch {
            throw Termination(
                .configuration, cause: "an API key is unusable: \(error)", source: "keys",
                fix: "write a pair made by `callbridge keys new`")
        }
        var configuration = configuration
        configuration.rtc.nodeAddresses = await ExternalAddress.advertised(by: configuration, log: log)
        let turn = try TURNServices(configuration, log: log)
        let focus = try startFocus(configuration, keys: keys, turn: turn, log: log)
        var router = HTTPRouter()
        focus.registerRoutes(on: &router, prefixes: configuration.publicPrefixes)
        let testCall = TestCallTokens(keys: keys).map {
            TestCallRoutes(tokens: $0, isOpen: configuration.isDevelopment)
        }
        testCall?.register(on: &router, prefixes: configuration.publicPrefixes)

        let turnRoutes = TURNRoutes(turn.providers, keys: keys, matrix: configuration.matrix, clock: .system)
        turnRoutes.register(on: &router, prefixes: configuration.publicPrefixes)

        var services: [any Service] = [focus] + turn.services
        var matrix: MatrixServices?
        if let settings = configuration.matrix {
            let built = try await MatrixServices(
                settings, maximumParticipants: configuration.room.maxParticipants, keys: keys,
                dataDirectory: configuration.server.dataDirectory, ownURL: ownURL(configuration.server), focus: focus,
                log: log, logLevels: logLevels)
            await built.desk.offer(TURNBotCommands(administration: turn.administration).all)
            built.registerRoutes(on: &router, prefixes: configuration.publicPrefixes)
            services += built.services
            matrix = built
        } else {
            router.on(.GET, "/healthz") { _, _ in .empty(.ok) }
        }

        let refusals = HTTPRefusalCounters()
        let server = try await bind(configuration, port: configuration.server.port, router: router, refusals: refusals)
        services.append(server)
        if let port = configuration.server.prometheusPort {
            let page = MetricsPage(
                focus: focus, matrix: matrix, turn: turn, turnRoutes: turnRoutes, httpRefusals: refusals,
                testCallRefusals: testCall?.refusals)
            var metrics = HTTPRouter(crossOrigin: nil)
            page.register(on: &metrics, configuration: configuration.server)
            services.append(try await bind(configuration, port: port, router: metrics, refusals: refusals))
        }
        announce(configuration, server: server, focus: focus, keys: keys, log: log)
        StartUpPages.release()
        let selfTest = Task { await testMedia(log: log) }
        defer { selfTest.cancel() }

        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
        do {
            try await group.run()
        } catch let termination as Termination {
            throw termination
        }
    }

    /// Where this process reaches its own HTTP port.
    private static func ownURL(_ server: ServerConfiguration) throws -> SignalURL {
        let host =
            switch server.bindAddresses.first {
            case nil, "::", "0.0.0.0": "127.0.0.1"
            case let address? where address.contains(":"): "[\(address)]"
            case let address?: address
            }
        return try SignalURL("ws://\(host):\(server.port)")
    }

    private static func startFocus(
        _ configuration: BridgeConfiguration, keys: APIKeySet, turn: TURNServices, log: Logger
    ) throws -> FocusServer {
        do {
            return try FocusServer(
                configuration: FocusConfiguration(configuration, keys: keys),
                iceServers: ConfiguredICEServers(configuration, turn: turn.providers), log: log)
        } catch let error as SocketError where error.errno == EADDRINUSE {
            throw Termination(
                .portInUse, cause: "UDP port \(configuration.rtc.udpPort) is taken by another process",
                source: "rtc.udp_port", fix: "end that process, or choose another port with --rtc-port")
        } catch let error as SocketError {
            throw Termination(
                .failure, cause: "the media socket cannot be opened: \(error)", source: "rtc.udp_port, bind_addresses",
                fix: "use an address of this machine and a port you may bind")
        }
    }

    private static func bind(
        _ configuration: BridgeConfiguration, port: Int, router: HTTPRouter, refusals: HTTPRefusalCounters
    ) async throws -> HTTPServer {
        let addresses = configuration.server.bindAddresses.isEmpty ? ["::"] : configuration.server.bindAddresses
        var settings = HTTPServerConfiguration(addresses: addresses, port: port)
        settings.webSocketMessageLimit = configuration.limit.signalMessageBytes
        do {
            return try await HTTPServer.bind(
                settings, router: router, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, refusals: refusals)
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw Termination(
                .portInUse, cause: "TCP port \(port) is taken by another process", source: "port",
                fix: "end that process, or choose another port with --port")
        } catch let error as IOError {
            throw Termination(
                .failure, cause: "cannot listen on \(addresses.joined(separator: ", ")) port \(port): \(error)",
                source: "bind_addresses, port", fix: "use an address of this machine and a port you may bind")
        }
    }

    /// Says whether a call over loopback works. Nothing waits for it, and a failure ends nothing: the operator shall
    /// know.
    private static func testMedia(log: Logger) async {
        switch await SelfTest.run() {
        case .passed(let microseconds):
            log.info(
                "self-test passed: a call over loopback works",
                metadata: ["first-packet": "\(microseconds / 1_000).\(microseconds / 100 % 10) ms"])
        case .failed(let reason) where !Task.isCancelled:
            log.warning(
                "self-test failed: a call over loopback does not work, calls of others may not either",
                metadata: [
                    "cause": "\(reason)",
                    "next": "allow UDP and TCP on the loopback interface, see docs/troubleshooting.md",
                ])
        case .failed: break
        }
    }

    /// One line for each thing an operator wants to see at start.
    private static func announce(
        _ configuration: BridgeConfiguration, server: HTTPServer, focus: FocusServer, keys: APIKeySet, log: Logger
    ) {
        log.info(
            "Callbridge is listening",
            metadata: [
                "http": "\(configuration.server.bindAddresses.joined(separator: ",")):\(server.port)",
                "udp": "\(focus.mediaPorts.map(String.init).joined(separator: ","))",
                "keys": "\(keys.keys.map { "\($0.name) (secret \($0.fingerprint))" }.joined(separator: ", "))",
                "mode": configuration.isDevelopment ? "development" : configuration.matrix == nil ? "focus" : "bridge",
            ])
    }
}
