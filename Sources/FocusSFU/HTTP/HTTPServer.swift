// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix
import ServiceLifecycle

/// An HTTP/1.1 and WebSocket server on one or more bound sockets.
///
/// Plain TCP: TLS ends at the reverse proxy. Requests of a connection are handled one at a time, and a WebSocket can be
/// asked for on any of them, also late on a kept-alive connection, as proxies do.
///
/// Routes run as child tasks of ``run()``, so none outlives it. On graceful shutdown the server stops accepting, lets
/// requests finish, closes WebSockets with 1001 and returns, after ``HTTPServerConfiguration/shutdownGrace`` at the
/// latest; on cancellation it closes everything at once.
package final class HTTPServer: Service {
    typealias Job = @Sendable () async -> Void

    /// The port of all addresses, also when the system chose it.
    package let port: Int
    /// Why requests, connections and WebSockets were turned away.
    package var refusals: HTTPRefusalCounters { environment.refusals }

    private let environment: HTTPServerEnvironment
    private let listeners: [any Channel]
    private let jobs: AsyncStream<Job>
    private let forcedEnd = NIOLockedValueBox<Scheduled<Void>?>(nil)

    /// Binds all addresses and starts to accept; requests wait until ``run()``, which must follow.
    ///
    /// - Throws: What the system says when an address cannot be bound; then none stays bound.
    package static func bind(
        _ configuration: HTTPServerConfiguration,
        router: HTTPRouter,
        eventLoopGroup: any EventLoopGroup,
        refusals: HTTPRefusalCounters = HTTPRefusalCounters()
    ) async throws -> HTTPServer {
        let (jobs, continuation) = AsyncStream.makeStream(of: Job.self)
        let connections = HTTPConnections(
            limit: configuration.connectionLimit,
            drained: { continuation.finish() }
        )
        let environment = HTTPServerEnvironment(
            configuration: configuration,
            router: router,
            refusals: refusals,
            connections: connections,
            bodyMemory: HTTPBodyMemory(
                strangerLimit: configuration.strangerBodyMemoryLimit,
                knownLimit: configuration.bodyMemoryLimit
            ),
            jobs: continuation
        )
        var listeners: [any Channel] = []
        var port = configuration.port
        do {
            for address in configuration.addresses {
                let target = try SocketAddress.makeAddressResolvingHost(address, port: port)
                let bootstrap = bootstrap(
                    configuration,
                    group: eventLoopGroup,
                    onlyIPv6: target.protocol == .inet6 && configuration.addresses.count > 1
                ) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let refusal = connections.admit(channel) {
                            refusals.count(refusal)
                            try channel.pipeline.syncOperations.addHandler(HTTPTurnAwayHandler(refusal, router: router))
                        } else {
                            try HTTPConnectionHandler.install(on: channel, environment)
                        }
                    }
                }
                let listener = try await bootstrap.bind(to: target).get()
                listeners.append(listener)
                port = listener.localAddress?.port ?? port
            }
        } catch {
            for listener in listeners { try? await listener.close() }
            throw error
        }
        return HTTPServer(
            environment,
            port: port,
            listeners: listeners,
            jobs: jobs
        )
    }

    /// Open connections, WebSockets included.
    package var connectionCount: Int { environment.connections.count }

    /// Bytes of request bodies that count against the limits now, of all connections.
    package var bodyByteCount: Int { environment.bodyMemory.byteCount }

    /// Serves until the task is cancelled or a graceful shutdown has finished.
    package func run() async throws {
        await withTaskCancellationOrGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for await job in jobs {
                    group.addTask(operation: job)
                }
                await environment.connections.closeAll()
                group.cancelAll()
            }
        } onCancelOrGracefulShutdown: {
            self.shutDown()
        }
        for listener in listeners {
            try? await listener.closeFuture.get()
        }
        forcedEnd.withLockedValue { $0 }?.cancel()
    }

    private init(
        _ environment: HTTPServerEnvironment,
        port: Int,
        listeners: [any Channel],
        jobs: AsyncStream<Job>
    ) {
        self.environment = environment
        self.port = port
        self.listeners = listeners
        self.jobs = jobs
    }

    private func shutDown() {
        guard let loop = listeners.first?.eventLoop else { return }
        // Clients that are told to go must not find this server again.
        EventLoopFuture.andAllComplete(listeners.map { $0.close() }, on: loop).whenComplete { [environment] _ in
            environment.connections.shutDown()
        }
        let continuation = environment.jobs
        forcedEnd.withLockedValue { forcedEnd in
            guard forcedEnd == nil else { return }
            forcedEnd = loop.scheduleTask(in: TimeAmount(environment.configuration.shutdownGrace)) {
                continuation.finish()
            }
        }
    }

    private static func bootstrap(
        _ configuration: HTTPServerConfiguration,
        group: any EventLoopGroup,
        onlyIPv6: Bool,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> ServerBootstrap {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: configuration.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A dead peer is noticed although nothing is read: unacknowledged pings time out.
            .childChannelOption(.tcpOption(.tcpUserTimeout), value: 30_000)
            // One read at a time keeps what is parsed ahead of an answer small.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer(initializer)
        guard onlyIPv6 else { return bootstrap }
        return bootstrap.serverChannelOption(.ipv6Option(.ipv6_v6only), value: 1)
    }
}

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    fileprivate static func ipv6Option(_ name: NIOBSDSocket.Option) -> Self {
        Self(level: .ipv6, name: name)
    }
}

extension NIOBSDSocket.Option {
    /// `TCP_USER_TIMEOUT`, milliseconds; Linux.
    fileprivate static let tcpUserTimeout = Self(rawValue: 18)
}
