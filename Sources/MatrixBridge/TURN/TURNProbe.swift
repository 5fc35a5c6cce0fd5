// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// What a test allocation at one URI gave.
struct TURNProbeResult: Equatable, Sendable {
    enum Relaying: Equatable, Sendable {
        /// Data went from one relay address to another and back.
        case proved
        /// The server does not let its own relay addresses talk to each other: fine when the SFU is reachable.
        case refused(String)
        /// Data was sent and did not arrive.
        case lost
    }

    struct Success: Equatable, Sendable {
        let relayed: RelayAddress
        /// This machine as the server sees it.
        let mapped: RelayAddress?
        let milliseconds: UInt64
        let relaying: Relaying
    }

    let uri: String
    let outcome: Result<Success, TURNConnectionFault>

    var success: Success? { try? outcome.get() }
}

/// Uses a TURN server as a client would. Everything waits on the calling thread.
enum TURNProbe {
    /// How long data may take between two relays, milliseconds.
    private static let echoMilliseconds: UInt64 = 3_000
    private static let channel: UInt16 = 0x4000

    /// Allocates, relays a few bytes between two allocations, deletes both.
    static func test(_ server: TURNServer, _ access: TURNServerAccess) -> TURNProbeResult {
        do throws(TURNConnectionFault) {
            let start = Deadline.now
            let (first, allocation) = try allocate(server, access)
            let milliseconds = Deadline.now - start
            defer { release(first) }
            let success = TURNProbeResult.Success(
                relayed: allocation.relayed, mapped: allocation.mapped, milliseconds: milliseconds,
                relaying: try relay(first, allocation, server, access))
            return TURNProbeResult(uri: server.uri, outcome: .success(success))
        } catch {
            return TURNProbeResult(uri: server.uri, outcome: .failure(error))
        }
    }

    /// How long an allocation takes, milliseconds; it is deleted again.
    static func allocationTime(
        _ server: TURNServer, _ access: TURNServerAccess
    ) throws(TURNConnectionFault) -> UInt64 {
        let start = Deadline.now
        let (connection, _) = try allocate(server, access)
        let milliseconds = Deadline.now - start
        release(connection)
        return milliseconds
    }

    static func allocate(
        _ server: TURNServer, _ access: TURNServerAccess, family: TURNOperation.Family = .ipv4,
        relayProtocol: TURNOperation.RelayProtocol = .udp
    ) throws(TURNConnectionFault) -> (TURNConnection, TURNAllocation) {
        do throws(TURNConnectionFault) {
            return try allocateOnce(server, access, family: family, relayProtocol: relayProtocol)
        } catch {
            // The server still knows somebody who had this port before: take another one, RFC 8656 §7.4.
            guard error.refusalCode == 437 else { throw error }
            return try allocateOnce(server, access, family: family, relayProtocol: relayProtocol)
        }
    }

    private static func allocateOnce(
        _ server: TURNServer, _ access: TURNServerAccess, family: TURNOperation.Family,
        relayProtocol: TURNOperation.RelayProtocol
    ) throws(TURNConnectionFault) -> (TURNConnection, TURNAllocation) {
        let connection = try TURNConnection(to: server, username: access.username, password: access.credential)
        guard let allocation = try connection.perform(.allocate(family, relayProtocol)) else {
            throw .server(.malformedAnswer)
        }
        return (connection, allocation)
    }

    /// Deletes the allocation; if that fails the server does it in some minutes.
    static func release(_ connection: TURNConnection) {
        _ = try? connection.perform(.refresh(lifetimeSeconds: 0))
    }

    private static func relay(
        _ first: TURNConnection, _ allocation: TURNAllocation, _ server: TURNServer, _ access: TURNServerAccess
    ) throws(TURNConnectionFault) -> TURNProbeResult.Relaying {
        let (second, other) = try allocate(server, access)
        defer { release(second) }
        do throws(TURNConnectionFault) {
            try first.perform(.createPermission(other.relayed))
            try second.perform(.createPermission(allocation.relayed))
            try first.perform(.bindChannel(channel, other.relayed))
            // So that a channel and its plain counterpart are both used.
            let question = Array("callbridge?".utf8)
            let answer = Array("callbridge!".utf8)
            try first.send(question, to: other.relayed)
            guard try second.receive(withinMilliseconds: echoMilliseconds) == question else { return .lost }
            try second.send(answer, to: allocation.relayed)
            guard try first.receive(withinMilliseconds: echoMilliseconds) == answer else { return .lost }
            return .proved
        } catch {
            guard error.refusalCode != nil else { throw error }
            return .refused(error.cause)
        }
    }
}
