// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc

/// A thread that forwards lanes of the workers' large turns: one for each processor that has no worker, so that a
/// single worker with its single port uses them all. It has no rooms, and sleeps while turns are small.
actor TurnHelper: EpollLoop.Client {
    nonisolated let loop: EpollLoop
    private nonisolated let name: String
    private nonisolated let neighbours = Neighbours()
    private let forwarder: Forwarder

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    init(index: Int) throws {
        loop = try EpollLoop()
        name = "help-\(index)"
        // Each lane's datagrams leave through the socket of the worker whose turn it is.
        guard let forwarder = Forwarder(socket: -1) else { throw SocketError(call: "allocate", errno: ENOMEM) }
        self.forwarder = forwarder
    }

    /// Names those it helps. Before it is started.
    nonisolated func introduce(to turns: [SharedTurn]) {
        neighbours.set(turns: turns, loops: [])
    }

    nonisolated func start() throws {
        try loop.start(socket: nil, client: self, name: name)
    }

    nonisolated func stop() {
        loop.stop()
    }

    nonisolated func help() {
        assumeIsolated { $0.neighbours.help(with: $0.forwarder) }
    }

    nonisolated func socketBecameReadable() -> Int { 0 }
    nonisolated func tick() {}
    nonisolated func willSleep() {}

    /// What it has done for others.
    func figures() -> WorkerFigures {
        WorkerFigures(
            packetsForwarded: forwarder.packetsForwarded, datagramsSent: forwarder.egress.datagramsSent,
            messagesSent: forwarder.egress.messagesSent,
            drops: forwarder.drops)
    }
}
