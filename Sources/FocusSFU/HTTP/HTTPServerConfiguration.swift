// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Where the server listens and what it bears. Every limit has a counted refusal, ``HTTPRefusal``.
package struct HTTPServerConfiguration: Sendable {
    /// Address literals or host names. An IPv6 wildcard beside an IPv4 address takes IPv6 only.
    package var addresses: [String]
    /// 0 lets the system choose one, the same for all ``addresses``.
    package var port: Int
    /// Connections the kernel holds until they are accepted.
    package var backlog: Int = 1024
    /// Open connections, WebSockets included.
    package var connectionLimit: Int = 8192

    /// Request target and fields together, bytes; one field may take all of it. A publisher's offer travels in the
    /// query, so 64 KiB must pass.
    package var headLimit: Int = 128 * 1024
    /// Fields of one request.
    package var headFieldLimit: Int = 128
    /// Bodies of all connections together, bytes, of requests that a route's ``HTTPRouter/Admission`` let in.
    package var bodyMemoryLimit: Int = 256 * 1024 * 1024
    /// The same for all others, whose bodies are read before a route can tell friend from foe.
    package var strangerBodyMemoryLimit: Int = 64 * 1024 * 1024
    /// Requests a client may send ahead of their answers.
    package var pipelineLimit: Int = 64

    /// From the connection, or from the first byte of a later request, to the end of its head.
    package var headTimeout: Duration = .seconds(10)
    /// For each 256 KiB of a request body.
    package var bodyTimeout: Duration = .seconds(30)
    /// Until the peer has taken a whole response.
    package var responseTimeout: Duration = .seconds(60)
    /// Between requests.
    package var idleTimeout: Duration = .seconds(60)
    /// How long a refused peer may take to read the last answer, its input being thrown away.
    package var lingerTimeout: Duration = .seconds(1)

    /// Longest WebSocket message from a client, bytes.
    package var webSocketMessageLimit: Int = 1024 * 1024
    /// Bytes that wait for one WebSocket client.
    package var webSocketOutboundLimit: Int = 8 * 1024 * 1024
    /// Between pings; one that cannot be written until the next is due ends the connection.
    package var webSocketPingInterval: Duration = .seconds(10)
    /// How long the peer may take to answer a Close frame.
    package var webSocketCloseTimeout: Duration = .seconds(2)
    /// Between ``WebSocketHandler/serverShuttingDown()`` and the Close frame 1001.
    package var webSocketLinger: Duration = .milliseconds(500)

    /// How long a graceful shutdown waits for requests and WebSockets before it closes what is left.
    package var shutdownGrace: Duration = .seconds(10)

    package init(addresses: [String], port: Int) {
        self.addresses = addresses
        self.port = port
    }
}
