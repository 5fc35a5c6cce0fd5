// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
import Logging
import NIOConcurrencyHelpers
import TURNCreds
import Testing

@testable import MatrixBridge

@Suite("Rotation of TURN secrets")
struct SecretRotatorTests {
    private static let lifetime: Int64 = 3_600
    private static let overlap: Int64 = 300

    private let directory: TemporaryDirectory
    private let store = MemorySecretStore()
    private let servers = ServersInMemory()
    private let clock = ManualClock()
    private let secrets = CurrentSecrets()

    init() throws {
        directory = try TemporaryDirectory()
    }

    private var path: String { TURNSecretFile.path(in: directory.path) }

    /// A process of its own on the same file: what it knows is what is on the disk.
    private func rotator(every interval: Int64? = nil, lifetime: Int64 = Self.lifetime) throws -> SecretRotator {
        let realm = TURNRealm(
            name: "r", location: "memory", store: store, rotationSeconds: interval, overlapSeconds: Self.overlap,
            longestLifetime: lifetime)
        return try SecretRotator(
            path: path, realms: [realm], secrets: secrets, proof: servers, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func advance(seconds: Int64) {
        clock.advance(milliseconds: UInt64(seconds) * 1_000)
    }

    @Test("the first round makes a secret, stores it and uses it; the file is for its owner only")
    func first() async throws {
        let rotator = try rotator()
        await rotator.round()
        #expect(store.secrets == [try #require(secrets["r"]).exposed])
        for name in ["", "-wal", "-shm"] {
            let mode = try FileManager.default.attributesOfItem(atPath: path + name)[.posixPermissions] as? Int
            #expect(mode == 0o600, "turn.db\(name)")
        }
        // The last to close the file takes its companions away.
        withExtendedLifetime(rotator) {}
    }

    @Test("after a rotation both are in the store, and the one before goes at its time")
    func rotation() async throws {
        let rotator = try rotator()
        await rotator.round()
        let old = try #require(secrets["r"])
        let id = try await rotator.rotate("r", revokes: false)
        let new = try #require(secrets["r"])
        #expect(new.fingerprint == id && new.exposed != old.exposed)
        advance(seconds: Self.lifetime + Self.overlap - 1)
        await rotator.round()
        #expect(store.secrets == [old.exposed, new.exposed])
        advance(seconds: 1)
        await rotator.round()
        #expect(store.secrets == [new.exposed])
        #expect(rotator.events[.removed] == 1)
    }

    @Test("a rotation is a constant number of operations, however many rotations there were")
    func constantWork() async throws {
        let rotator = try rotator(lifetime: 10)
        await rotator.round()
        var counts: Set<Int> = []
        for _ in 0..<4 {
            advance(seconds: Self.overlap + 10)
            await rotator.round()
            let before = store.state.withLockedValue { $0.operations }
            _ = try await rotator.rotate("r", revokes: false)
            counts.insert(store.state.withLockedValue { $0.operations } - before)
        }
        #expect(counts.count == 1)
    }

    @Test("a store that fails changes nothing, and the rotation goes on when it is back, in another process too")
    func storeDown() async throws {
        let first = try rotator()
        await first.round()
        let old = try #require(secrets["r"])
        let down = SecretStoreError(reason: .unreachable, text: "down")
        store.state.withLockedValue { $0.failure = down }
        await #expect(throws: SecretRotator.Failure.store(down)) { try await first.rotate("r", revokes: false) }
        #expect(secrets["r"]?.exposed == old.exposed)
        store.state.withLockedValue { $0.failure = nil }
        try await rotator().round()
        let new = try #require(secrets["r"])
        #expect(new.exposed != old.exposed)
        #expect(store.secrets == [old.exposed, new.exposed])
    }

    @Test("a store that says done and does nothing is not believed")
    func lyingStore() async throws {
        let rotator = try rotator()
        await rotator.round()
        let old = try #require(secrets["r"])
        store.state.withLockedValue { $0.isLying = true }
        await #expect(throws: SecretRotator.Failure.self) { try await rotator.rotate("r", revokes: false) }
        #expect(secrets["r"]?.exposed == old.exposed)
        #expect(rotator.events[.storeFailed] == 1)
    }

    @Test("a server that does not take the new secret keeps it from being used")
    func serverRefuses() async throws {
        let rotator = try rotator()
        await rotator.round()
        let old = try #require(secrets["r"])
        servers.refusesNew.withLockedValue { $0 = true }
        await #expect(throws: SecretRotator.Failure.server(uri: "turn:a:3478?transport=udp")) {
            try await rotator.rotate("r", revokes: false)
        }
        #expect(secrets["r"]?.exposed == old.exposed)
        #expect(store.secrets.contains(old.exposed))
        servers.refusesNew.withLockedValue { $0 = false }
        advance(seconds: 61)
        await rotator.round()
        #expect(secrets["r"]?.exposed != old.exposed)
    }

    @Test("an addition that was given up leaves the store, and the current secret stays")
    func abandoned() async throws {
        let rotator = try rotator()
        await rotator.round()
        let old = try #require(secrets["r"])
        servers.refusesNew.withLockedValue { $0 = true }
        await #expect(throws: SecretRotator.Failure.self) { try await rotator.rotate("r", revokes: false) }
        #expect(store.secrets.count == 2)
        try await rotator.abandon("r")
        #expect(store.secrets == [old.exposed] && secrets["r"]?.exposed == old.exposed)
    }

    @Test("attempts become rarer while the store is down")
    func pace() async throws {
        let rotator = try rotator()
        store.state.withLockedValue { $0.failure = SecretStoreError(reason: .locked, text: "locked") }
        for _ in 0..<600 {
            await rotator.round()
            advance(seconds: 1)
        }
        let attempts = store.state.withLockedValue { $0.operations }
        #expect((5...20).contains(attempts))
        #expect(secrets["r"] == nil)
    }

    @Test("a store that lost everything has it again within a minute")
    func restored() async throws {
        let rotator = try rotator()
        await rotator.round()
        store.state.withLockedValue { $0.secrets = [] }
        advance(seconds: 61)
        await rotator.round()
        #expect(store.secrets == [try #require(secrets["r"]).exposed])
        #expect(rotator.events[.restored] == 1)
    }

    @Test("the schedule rotates; revoking removes within seconds")
    func scheduleAndRevocation() async throws {
        let rotator = try rotator(every: 1_000)
        await rotator.round()
        let first = try #require(secrets["r"])
        advance(seconds: 1_000)
        await rotator.round()
        let second = try #require(secrets["r"])
        #expect(second.exposed != first.exposed)
        _ = try await rotator.rotate("r", revokes: true)
        advance(seconds: SecretRing.revocationSeconds)
        await rotator.round()
        #expect(store.secrets == [try #require(secrets["r"]).exposed])
    }

    @Test("what another process did is noticed in the next round")
    func twoProcesses() async throws {
        let serve = try rotator()
        await serve.round()
        let id = try await rotator().rotate("r", revokes: false)
        await serve.round()
        #expect(secrets["r"]?.fingerprint == id)
        let report = try #require(await serve.report().first)
        #expect(report.ring.secrets.count == 2)
        #expect(report.missing.isEmpty)
    }

    @Test("an unknown realm is said so")
    func unknownRealm() async throws {
        let rotator = try rotator()
        await #expect(throws: SecretRotator.Failure.unknownRealm) { try await rotator.rotate("x", revokes: false) }
    }

    @Test("no text for people holds a secret")
    func secrecy() async throws {
        let rotator = try rotator()
        await rotator.round()
        _ = try await rotator.rotate("r", revokes: false)
        let status = TURNAdministration.Status(realms: await rotator.report(), servers: [], fixed: ["turn:x"])
        let text = TURNText.status(status) + String(decoding: TURNText.json(status).compactJSON, as: UTF8.self)
        for secret in store.secrets { #expect(!text.contains(secret)) }
        #expect(text.contains(try #require(secrets["r"]).fingerprint))
    }
}
