// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Logging
import TURNCreds

/// Says whether the servers of a realm take a secret.
protocol SecretProving: Sendable {
    /// The URI of a server that refuses `new` and takes `current`, which means that it reads another store; nil when
    /// there is none. Waits, some seconds a server.
    func serverThatRefuses(_ new: TURNSecret, whileTaking current: TURNSecret, realm: String) -> String?
}

/// Drives the secrets of every realm: begins rotations when they are due, does the steps that the ring asks for, and
/// puts back what a store has lost.
///
/// Everything is on the disk before it happens elsewhere, so any number of processes may do this at once, and each goes
/// on where another one died.
actor SecretRotator {
    /// What happened, for the metrics.
    enum Event: String, Hashable, Sendable, CaseIterable {
        case begun
        case switched
        case removed
        case restored
        /// A server did not take the new secret.
        case refusedByServer
        case storeFailed
        case stateFailed
    }

    /// Why a rotation did not begin, or has not come to its new secret.
    enum Failure: Error, Equatable, Sendable {
        case unknownRealm
        case noRandomness
        case refused(RotationRefusal)
        case store(SecretStoreError)
        case server(uri: String)
        case state(String)
    }

    private struct Pace {
        var nextAttempt: UInt64 = 0
        var wait: UInt64 = 0
        var nextCheck: UInt64 = 0
        var failure: Failure?
    }

    private static let roundMilliseconds: UInt64 = 1_000
    private static let longestWaitMilliseconds: UInt64 = 60_000
    /// Between looks at whether the stores hold what they must.
    private static let checkMilliseconds: UInt64 = 60_000

    private let executor = SerialQueueExecutor(label: "callbridge.turn")
    private let file: TURNSecretFile
    private let realms: [TURNRealm]
    private let secrets: CurrentSecrets
    private let proof: any SecretProving
    private let clock: ServiceClock
    private let log: Logger
    private var paces: [String: Pace] = [:]
    nonisolated let events = Tally<Event>()

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens the file in the data directory, and has the secrets of last time used at once.
    ///
    /// - Throws: ``SQLiteError`` or ``SchemaError``.
    init(
        path: String, realms: [TURNRealm], secrets: CurrentSecrets, proof: any SecretProving, clock: ServiceClock,
        logger: Logger
    ) throws {
        let file = try TURNSecretFile(path: path)
        for realm in realms {
            let seconds = realm.overlapSeconds
            secrets[realm.name] = try file.change(realm.name, overlapSeconds: seconds) { ring in
                ring.use(lifetime: realm.longestLifetime)
                return ring.current?.secret
            }
        }
        self.file = file
        self.realms = realms
        self.secrets = secrets
        self.proof = proof
        self.clock = clock
        self.log = logger
    }

    /// Of the realms.
    var names: [String] { realms.map(\.name) }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            round()
            do { try await clock.sleep(Self.roundMilliseconds) } catch { return }
        }
    }

    /// Does what is due now.
    func round() {
        for realm in realms {
            do throws(Failure) {
                try work(realm)
            } catch {
                failed(error, realm)
            }
        }
    }

    /// Rotates now, and waits for nothing: the new secret is used when this returns without error.
    ///
    /// - Parameter revokes: Whether the secret before goes at once and takes its credentials with it.
    /// - Returns: the id of the new secret.
    func rotate(_ name: String, revokes: Bool) throws(Failure) -> String {
        guard let realm = realms.first(where: { $0.name == name }) else { throw .unknownRealm }
        let id = try begin(realm, revokes: revokes)
        paces[realm.name]?.nextAttempt = 0
        do throws(Failure) {
            try work(realm)
        } catch {
            failed(error, realm)
            // A removal that failed is for later; the new secret may be in use all the same.
            guard secrets[realm.name]?.fingerprint == id else { throw error }
        }
        return id
    }

    /// Gives up the secret that is being added, when there is one: it leaves the store, the current one stays.
    func abandon(_ name: String) throws(Failure) {
        guard let realm = realms.first(where: { $0.name == name }) else { throw .unknownRealm }
        let now = unixSeconds
        try change(realm) { ring throws(Failure) in ring.abandonAdding(now: now) }
        paces[realm.name]?.nextAttempt = 0
        try work(realm)
    }

    /// Every realm as it is now; asks the stores.
    func report() -> [TURNRealmReport] {
        let now = unixSeconds
        return realms.map { realm in
            var ring = SecretRing(overlapSeconds: realm.overlapSeconds)
            var failure = paces[realm.name]?.failure
            do {
                ring = try file.ring(of: realm.name, overlapSeconds: realm.overlapSeconds)
            } catch {
                failure = .state("\(error)")
            }
            let stored: Result<Int, SecretStoreError>
            var missing: [String] = []
            do throws(SecretStoreError) {
                for kept in ring.valid(at: now) {
                    let isThere = try realm.store.contains(kept.secret, realm: realm.name)
                    if !isThere { missing.append(kept.id) }
                }
                stored = .success(try realm.store.count(realm: realm.name))
            } catch {
                stored = .failure(error)
            }
            return TURNRealmReport(
                realm: realm, ring: ring, stored: stored, missing: missing, failure: failure, now: now)
        }
    }

    private var unixSeconds: Int64 { clock.unixMilliseconds() / 1_000 }
    private var monotonic: UInt64 { clock.monotonic().nanoseconds / 1_000_000 }
}

// MARK: - Work

extension SecretRotator {
    private func begin(_ realm: TURNRealm, revokes: Bool) throws(Failure) -> String {
        guard let secret = TURNSecret.random() else { throw .noRandomness }
        let now = unixSeconds
        try change(realm) { ring throws(Failure) in
            do throws(RotationRefusal) {
                try ring.begin(secret, lifetime: realm.longestLifetime, now: now, revokes: revokes)
            } catch {
                throw .refused(error)
            }
        }
        events.count(.begun)
        log.info(
            "a TURN secret is being added", metadata: ["realm": "\(realm.name)", "secret": "\(secret.fingerprint)"])
        return secret.fingerprint
    }

    private func work(_ realm: TURNRealm) throws(Failure) {
        var ring = try self.ring(of: realm)
        if ring.isDue(every: realm.rotationSeconds, now: unixSeconds) {
            _ = try begin(realm, revokes: false)
            ring = try self.ring(of: realm)
        }
        secrets[realm.name] = ring.current?.secret
        guard monotonic >= paces[realm.name, default: Pace()].nextAttempt else { return }
        // A removal does not wait for an addition that is stuck.
        var failure: Failure?
        for step in ring.steps(now: unixSeconds) {
            do throws(Failure) {
                switch step {
                case .add(let kept): try add(kept, to: realm)
                case .remove(let kept): try remove(kept, from: realm)
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        if monotonic >= paces[realm.name, default: Pace()].nextCheck { try restore(realm) }
        paces[realm.name]?.wait = 0
        paces[realm.name]?.failure = nil
    }

    /// Into the store, proved at the servers, into use.
    private func add(_ kept: KeptSecret, to realm: TURNRealm) throws(Failure) {
        let former = try ring(of: realm).current
        try change(realm) { ring throws(Failure) in
            guard ring.adding?.id == kept.id else { return }
            try Self.inStore { () throws(SecretStoreError) in
                try realm.store.insertVerified(kept.secret, realm: realm.name)
            }
        }
        if let former,
            let uri = proof.serverThatRefuses(kept.secret, whileTaking: former.secret, realm: realm.name)
        {
            throw .server(uri: uri)
        }
        let now = unixSeconds
        let used = try change(realm) { ring throws(Failure) -> KeptSecret? in
            guard ring.adding?.id == kept.id else { return ring.current }
            // The store may have been emptied while the servers were asked.
            try Self.inStore { () throws(SecretStoreError) in
                try realm.store.insertVerified(kept.secret, realm: realm.name)
            }
            ring.confirmAdded(kept.id, now: now)
            return ring.current
        }
        secrets[realm.name] = used?.secret
        events.count(.switched)
        log.notice(
            "a new TURN secret is in use",
            metadata: [
                "realm": "\(realm.name)", "secret": "\(kept.id)", "before": "\(former?.id ?? "none")",
                "store": "\(realm.location)",
            ])
    }

    private func remove(_ kept: KeptSecret, from realm: TURNRealm) throws(Failure) {
        try change(realm) { ring throws(Failure) in
            try Self.inStore { () throws(SecretStoreError) in
                try realm.store.removeVerified(kept.secret, realm: realm.name)
            }
            ring.confirmRemoved(kept.id)
        }
        events.count(.removed)
        log.notice(
            "a TURN secret is gone from the store",
            metadata: ["realm": "\(realm.name)", "secret": "\(kept.id)", "store": "\(realm.location)"])
    }

    /// Puts back what the store should hold and does not: somebody emptied it, or restored an old copy.
    private func restore(_ realm: TURNRealm) throws(Failure) {
        let now = unixSeconds
        let restored = try change(realm) { ring throws(Failure) -> [String] in
            try Self.inStore { () throws(SecretStoreError) -> [String] in
                var restored: [String] = []
                for kept in ring.valid(at: now) {
                    let isThere = try realm.store.contains(kept.secret, realm: realm.name)
                    guard !isThere else { continue }
                    try realm.store.insertVerified(kept.secret, realm: realm.name)
                    restored.append(kept.id)
                }
                return restored
            }
        }
        paces[realm.name, default: Pace()].nextCheck = monotonic + Self.checkMilliseconds
        for id in restored {
            events.count(.restored)
            log.warning(
                "a TURN secret was missing in the store and is there again",
                metadata: ["realm": "\(realm.name)", "secret": "\(id)", "store": "\(realm.location)"])
        }
    }

    private func failed(_ failure: Failure, _ realm: TURNRealm) {
        var pace = paces[realm.name, default: Pace()]
        switch failure {
        case .store: events.count(.storeFailed)
        case .server: events.count(.refusedByServer)
        case .state, .noRandomness: events.count(.stateFailed)
        case .unknownRealm, .refused: return
        }
        pace.wait = min(max(Self.roundMilliseconds, pace.wait * 2), Self.longestWaitMilliseconds)
        pace.nextAttempt = monotonic + pace.wait
        // Once for each new reason; the metrics count the rest.
        if pace.failure != failure {
            log.warning(
                "\(failure.cause); the secret before stays in use",
                metadata: ["realm": "\(realm.name)", "store": "\(realm.location)", "fix": "\(failure.fix)"])
        }
        pace.failure = failure
        paces[realm.name] = pace
    }

    private func ring(of realm: TURNRealm) throws(Failure) -> SecretRing {
        do {
            return try file.ring(of: realm.name, overlapSeconds: realm.overlapSeconds)
        } catch {
            throw .state("\(error)")
        }
    }

    private func change<Result>(
        _ realm: TURNRealm, _ body: (inout SecretRing) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        do {
            return try file.change(realm.name, overlapSeconds: realm.overlapSeconds, body)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw .state("\(error)")
        }
    }

    private static func inStore<Result>(
        _ body: () throws(SecretStoreError) -> Result
    ) throws(Failure) -> Result {
        do throws(SecretStoreError) {
            return try body()
        } catch {
            throw .store(error)
        }
    }
}

extension SecretRotator.Failure {
    var cause: String {
        switch self {
        case .unknownRealm: "there is no such realm"
        case .noRandomness: "the system gives no random bytes"
        case .refused(.underWay(let id)): "a rotation is under way: secret \(id) is being added"
        case .refused(.tooManyRetiring): "\(SecretRing.limit) secrets are there already, as many as allowed"
        case .store(let error): "the TURN secret store cannot be used (\(error))"
        case .server(let uri): "\(uri) refuses the new secret and takes the one before"
        case .state(let text): "our own state of TURN secrets cannot be used (\(text))"
        }
    }

    var fix: String {
        switch self {
        case .unknownRealm: "name a realm of turn.realms"
        case .noRandomness: "look at the machine: OpenSSL has no randomness"
        case .refused(.underWay): "wait for it; `callbridge turn status` says what it waits for"
        case .refused(.tooManyRetiring): "wait until the oldest is removed; `callbridge turn status` says when"
        case .store(let error): error.fix
        case .server: "have that server read the store of turn.realms, with the same realm"
        case .state: "make data_directory writable for this user, and see that no other process holds turn.db"
        }
    }
}
