// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Logging
import TURNCreds

/// What an administrator can ask of TURN: results as values, for the command line, the admin room and the metrics
/// alike.
struct TURNAdministration: Sendable {
    /// A server with what makes credentials for it.
    struct Target: Sendable {
        let server: TURNServer
        /// Nil when the credentials are not of a realm of ours.
        let realm: String?
        fileprivate let provider: any TURNAccessProviding

        /// - Parameter now: Unix seconds.
        fileprivate func access(now: Int64) -> TURNServerAccess? {
            // A user of its own, so that probes and people do not share a quota.
            try? provider.access(user: "callbridge-probe", now: now).first
        }
    }

    /// The state of all realms, and whether every server relays.
    struct Status: Sendable {
        var realms: [TURNRealmReport]
        var servers: [TURNProbeResult]
        /// Servers whose secret or password we cannot replace.
        var fixed: [String]
    }

    /// Every server, once.
    let targets: [Target]
    private let rotator: SecretRotator?
    private let fixed: [String]
    private let clock: ServiceClock

    init(providers: TURNProviders, rotator: SecretRotator?, clock: ServiceClock) {
        targets = providers.groups.flatMap { group in
            group.servers.map { server in
                Target(server: server, realm: group.realm, provider: group.provider)
            }
        }
        fixed = providers.groups.filter { $0.realm == nil }.flatMap { $0.servers.map(\.uri) }
        self.rotator = rotator
        self.clock = clock
    }

    /// Asks the stores and tests every server.
    func status() async -> Status {
        Status(realms: await rotator?.report() ?? [], servers: await test(), fixed: fixed)
    }

    /// Replaces the secret of a realm, or of every realm.
    ///
    /// - Returns: the id of each new secret, which is in use.
    func rotate(
        realm: String?, revokes: Bool
    ) async throws(SecretRotator.Failure) -> [(realm: String, id: String)] {
        var rotated: [(realm: String, id: String)] = []
        for (name, rotator) in try await rotators(of: realm) {
            rotated.append((name, try await rotator.rotate(name, revokes: revokes)))
        }
        return rotated
    }

    /// Gives up a rotation that has not come to its new secret.
    func abandonRotation(realm: String?) async throws(SecretRotator.Failure) {
        for (name, rotator) in try await rotators(of: realm) { try await rotator.abandon(name) }
    }

    private func rotators(
        of realm: String?
    ) async throws(SecretRotator.Failure) -> [(name: String, rotator: SecretRotator)] {
        guard let rotator else { throw .unknownRealm }
        let names = await rotator.names
        guard let realm else { return names.map { ($0, rotator) } }
        guard names.contains(realm) else { throw .unknownRealm }
        return [(realm, rotator)]
    }

    /// Allocates and relays at every server.
    func test() async -> [TURNProbeResult] {
        await each { server, access in
            [TURNProbe.test(server, access)]
        } without: { server, fault in
            [TURNProbeResult(uri: server.uri, outcome: .failure(fault))]
        }
    }

    /// Tries to relay where nobody may.
    func forbiddenRelays() async -> [ForbiddenRelays.Finding] {
        await each(ForbiddenRelays.test) { server, fault in
            [ForbiddenRelays.Finding(uri: server.uri, target: "every range", outcome: .unknown(fault))]
        }
    }

    /// One server after the other, on a thread that may wait.
    private func each<Result: Sendable>(
        _ body: @escaping @Sendable (TURNServer, TURNServerAccess) -> [Result],
        without: @escaping @Sendable (TURNServer, TURNConnectionFault) -> [Result]
    ) async -> [Result] {
        let (targets, now) = (targets, clock.unixMilliseconds() / 1_000)
        return await WaitingThread.run {
            targets.flatMap { target in
                guard let access = target.access(now: now) else {
                    return without(target.server, .connection("there is no secret yet for realm \(target.realm ?? "")"))
                }
                return body(target.server, access)
            }
        }
    }
}

/// Where work goes that waits for sockets.
enum WaitingThread {
    private static let queue = DispatchQueue(label: "callbridge.turn.probe", attributes: .concurrent)

    static func run<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
