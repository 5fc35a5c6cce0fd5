// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Logging
import ServiceLifecycle
import TURNCreds

/// Everything about TURN in one process: the secrets and their rotation, credentials for participants, and the tests.
struct TURNServices: Sendable {
    let providers: TURNProviders
    let administration: TURNAdministration
    let monitor: TURNMonitor
    /// Nil without realms of ours.
    let rotator: SecretRotator?

    /// - Throws: ``Termination`` when a server is unusable or the secrets cannot be kept.
    init(
        _ configuration: BridgeConfiguration, clock: ServiceClock = .system, log: Logger
    ) throws(Termination) {
        let secrets = CurrentSecrets()
        let providers = try TURNProviders(configuration.turn, secrets: secrets)
        let directory = configuration.server.dataDirectory
        self.providers = providers
        rotator =
            configuration.turn.realms.isEmpty
            ? nil
            : try Self.rotator(
                configuration.turn.realms, providers: providers, secrets: secrets, directory: directory, clock: clock,
                log: log)
        administration = TURNAdministration(providers: providers, rotator: rotator, clock: clock)
        monitor = TURNMonitor(administration: administration, clock: clock, logger: log)
    }

    var services: [any Service] {
        let (rotator, monitor) = (rotator, monitor)
        var services: [any Service] = []
        if let rotator { services.append(UntilShutdown({ await Self.abandonable { await rotator.run() } })) }
        if !administration.targets.isEmpty {
            services.append(UntilShutdown({ await Self.abandonable { await monitor.run() } }))
        }
        return services
    }

    /// Ends with cancellation at once, even while the work waits for a dead server: the rotation survives the end of
    /// the process at any point.
    private static func abandonable(_ work: @escaping @Sendable () async -> Void) async {
        let task = Task { await work() }
        for await _ in AsyncStream<Never>.makeStream().stream {}
        task.cancel()
    }

    private static func rotator(
        _ realms: [TURNRealmConfiguration], providers: TURNProviders, secrets: CurrentSecrets, directory: String,
        clock: ServiceClock, log: Logger
    ) throws(Termination) -> SecretRotator {
        let path = TURNSecretFile.path(in: directory)
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            return try SecretRotator(
                path: path, realms: realms.map { TURNRealm($0, providers: providers) }, secrets: secrets,
                proof: ServerProof(providers: providers), clock: clock, logger: log)
        } catch {
            throw Termination(
                .database, cause: "the TURN secrets cannot be kept: \(error)", source: path,
                fix: "make the folder writable for this user, the one that runs serve")
        }
    }
}

/// Asks the servers of a realm whether they take a secret.
private struct ServerProof: SecretProving {
    let providers: TURNProviders

    func serverThatRefuses(_ new: TURNSecret, whileTaking current: TURNSecret, realm: String) -> String? {
        let now = ServiceClock.system.unixMilliseconds() / 1_000
        for server in providers.groups.filter({ $0.realm == realm }).flatMap(\.servers) {
            guard isRefused(new, by: server, now: now), isTaken(current, by: server, now: now) else { continue }
            return server.uri
        }
        return nil
    }

    private func attempt(
        _ secret: TURNSecret, _ server: TURNServer, now: Int64
    ) -> Result<UInt64, TURNConnectionFault>? {
        let issuer = TURNCredentialIssuer(servers: [server], secret: secret, lifetimeSeconds: 60)
        guard let access = try? issuer.access(user: "callbridge-probe", now: now).first else { return nil }
        return Result { () throws(TURNConnectionFault) in try TURNProbe.allocationTime(server, access) }
    }

    private func isRefused(_ secret: TURNSecret, by server: TURNServer, now: Int64) -> Bool {
        guard case .failure(let fault)? = attempt(secret, server, now: now) else { return false }
        return fault.refusalCode == 401
    }

    private func isTaken(_ secret: TURNSecret, by server: TURNServer, now: Int64) -> Bool {
        if case .success? = attempt(secret, server, now: now) { true } else { false }
    }
}
