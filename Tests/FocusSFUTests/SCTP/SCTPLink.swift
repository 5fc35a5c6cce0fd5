// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Synchronization

/// Data channels of two peers joined in memory. Time passes only by `run`.
///
/// usrsctp has one clock for the process, so suites that use this are serialized.
final class SCTPLink {
    /// One end, with all that came out of it.
    final class End {
        let channels: DataChannels
        let wakeUps = WakeUps()
        var outbox: [[UInt8]] = []
        var isConnected = false
        var isClosed = false
        var opened: [DataChannel] = []
        var messages: [(channel: UInt16, kind: DataMessageKind, bytes: [UInt8])] = []
        var closed: [UInt16] = []
        var refusals: [DropReason] = []
        var packetsSent = 0
        var longestPacket = 0

        init(_ role: DTLSRole) throws {
            let wakeUps = wakeUps
            channels = DataChannels(
                role: role, association: try SCTPAssociation(onReady: { _ in wakeUps.add() }))
        }
    }

    /// Counts calls of `onReady` from whatever thread.
    final class WakeUps: Sendable {
        private let calls = Atomic(0)

        var count: Int { calls.load(ordering: .relaxed) }

        func add() {
            calls.add(1, ordering: .relaxed)
        }
    }

    let client: End
    let server: End
    private let clock = ContinuousClock()
    /// Asked for each packet with its number, true loses it.
    var loses: (Int) -> Bool = { _ in false }

    init(connected: Bool = true) throws {
        client = try End(.client)
        server = try End(.server)
        guard connected else { return }
        client.channels.connect()
        server.channels.connect()
        run(milliseconds: 2_000) { self.client.isConnected && self.server.isConnected }
    }

    /// Carries packets until both ends are quiet.
    func settle() {
        while true {
            drain(client)
            drain(server)
            if client.outbox.isEmpty, server.outbox.isEmpty { return }
            carry(from: client, to: server)
            carry(from: server, to: client)
        }
    }

    /// Lets usrsctp's time pass in steps of 10 ms until `done` or the limit.
    ///
    /// Its timers follow the steps, but a chunk is repeated only when the wall clock too has moved by the measured
    /// round trip, which in memory is next to nothing: hence the moment between steps.
    func run(milliseconds: Int, until done: () -> Bool) {
        settle()
        for _ in 0..<milliseconds / 10 where !done() {
            let next = clock.now + .microseconds(200)
            while clock.now < next {}
            SCTPStack.process.handleTimers(elapsedMilliseconds: 10)
            settle()
        }
    }

    func drain(_ end: End) {
        while let output = end.channels.nextOutput() {
            switch output {
            case .transmit(let packet):
                end.longestPacket = max(end.longestPacket, packet.count)
                end.packetsSent += 1
                if !loses(end.packetsSent) { end.outbox.append(packet) }
            case .connected: end.isConnected = true
            case .opened(let channel): end.opened.append(channel)
            case .message(let channel, let kind, let bytes): end.messages.append((channel, kind, bytes))
            case .closed(let channel): end.closed.append(channel)
            case .refused(let reason): end.refusals.append(reason)
            case .associationClosed: end.isClosed = true
            }
        }
    }

    private func carry(from: End, to: End) {
        let packets = from.outbox
        from.outbox = []
        for packet in packets {
            _ = packet.withUnsafeBytes { to.channels.receive($0) }
            drain(to)
        }
    }
}

extension DataChannels {
    /// Sends the bytes of an array.
    func send(_ bytes: [UInt8], kind: DataMessageKind = .binary, on channel: UInt16) -> SCTPSendResult {
        bytes.withUnsafeBytes { send($0, kind: kind, on: channel) }
    }
}
