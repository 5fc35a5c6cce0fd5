// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging
import OlmE2EE

/// What the device must ask the homeserver for, and when.
extension BotEncryption {
    /// Between two looks at what the homeserver has for the device: messages that a transaction lost, and how many
    /// one-time keys are left, which no transaction tells when somebody claims one.
    private static let syncMilliseconds: UInt64 = 120_000
    /// The shortest time between two syncs.
    private static let syncSpacingMilliseconds: UInt64 = 5_000
    private static let tickMilliseconds: UInt64 = 10_000
    /// Syncs in a row, each with a hundred messages at most.
    private static let maximumSyncs = 100
    /// Fresh sessions at once.
    private static let maximumRenewals = 100

    /// Works whenever it is woken, until the task is cancelled. First woken when the homeserver knows the bot.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.work() }
            group.addTask { await self.tick() }
        }
    }

    /// Wakes the work for what has to be done in time.
    private func tick() async {
        while (try? await clock.sleep(Self.tickMilliseconds)) != nil {
            // Whatever the homeserver does, nothing is kept for ever.
            await expireHeld()
            tidy()
            guard let lastSync else { continue }
            let elapsed = clock.monotonic().milliseconds(since: lastSync)
            if elapsed >= (state == .ready ? Self.syncMilliseconds : retryMilliseconds) {
                wantsSync = true
                wakeUps.wake()
            } else if state == .ready, device?.hasWork == true {
                // Somebody's server did not answer, and may be asked again.
                wakeUps.wake()
            }
        }
    }

    private func work() async {
        var failures = 0
        for await _ in wakeUps.stream {
            do {
                if state != .ready { try await setUp() }
                if state == .ready { try await performAll() }
                failures = 0
            } catch {
                failures += 1
                logger.warning(
                    "The bot's encrypted device could not talk to the homeserver; trying again",
                    metadata: ["error.message": "\(error)"])
                var requested: UInt64?
                if case MatrixClientError.refused(let refusal) = error {
                    requested = refusal.retryAfterMilliseconds
                    // Somebody may have deleted the device: look at it from the beginning.
                    if refusal.status < 500, refusal.status != 429 { state = .starting }
                }
                let delay = RetryPolicy.homeserver.delayMilliseconds(
                    failures: failures, requested: requested, random: Double.random(in: 0..<1))
                guard (try? await clock.sleep(delay)) != nil else { return }
                wakeUps.wake()
            }
        }
    }

    private func performAll() async throws {
        var problem: (any Error)?
        do {
            if wantsSync { try await catchUp() }
        } catch {
            problem = error
        }
        // Others get their keys, whatever is wrong with the sync.
        try await askForDevices()
        try await renewSessions()
        if let problem { throw problem }
    }

    private func expireHeld() async {
        let expired = held.expire(at: now)
        for event in expired {
            refusals.count(.roomKeyMissing)
            await onUnreadable(event)
        }
    }

    func tidy() {
        let elapsed = lastTidy.map { clock.monotonic().milliseconds(since: $0) } ?? .max
        guard elapsed >= Self.syncMilliseconds else { return }
        lastTidy = clock.monotonic()
        do {
            try raiseGeneration()
            let late = try database.transactionInPlace { try device?.tidy(in: OlmTable($0), at: now) ?? 0 }
            refusals.count(.waitedTooLong, times: UInt64(late))
        } catch {
            logger.error(
                "Old keys and messages could not be removed, or the device's memory not be marked",
                metadata: ["error.code": "\(error)"])
        }
    }

    // MARK: Sync

    /// Fetches the to-device messages that no transaction brought, and replaces used keys.
    func catchUp() async throws {
        guard let masquerade else { return }
        let elapsed = lastSync.map { clock.monotonic().milliseconds(since: $0) } ?? .max
        if elapsed < Self.syncSpacingMilliseconds {
            try await clock.sleep(Self.syncSpacingMilliseconds - elapsed)
        }
        for _ in 0..<Self.maximumSyncs {
            let token = try database.transactionInPlace { connection in
                try OlmTable(connection).record(.syncToken, owner: "", key: "").map {
                    String(decoding: $0.value, as: UTF8.self)
                }
            }
            guard let answer = try await sync(since: token, as: masquerade) else { return }
            guard let next = answer["next_batch"]?.string else {
                throw MatrixClientError.unexpectedAnswer(request: "sync")
            }
            lastSync = clock.monotonic()
            let news = DeviceNews(ofSync: answer)
            try await change { store in
                let readable = try take(news, in: store)
                // The next sync makes the homeserver forget the messages of this one.
                try store.put(OlmRecord(.syncToken, value: Array(next.utf8), touched: now))
                return readable
            }
            guard news.toDevice.isEmpty else { continue }
            try await refill(news)
            break
        }
        wantsSync = false
    }

    /// - Returns: nil where the homeserver refuses it and the key counts were found out otherwise.
    private func sync(since token: String?, as masquerade: MatrixClient.Masquerade) async throws -> JSONValue? {
        do {
            return try await client.syncDevice(since: token, as: masquerade)
        } catch {
            switch error {
            case .refused(let refusal) where refusal.status < 500 && refusal.status != 429: break
            // Messages that are too large to be read stay in every answer.
            case .unexpectedAnswer, .noAnswer(.bodyTooLarge): break
            default: throw error
            }
            try await countKeys(after: error)
            return nil
        }
    }

    /// Some homeservers refuse `/sync` to an application service's users: how many one-time keys they have, an upload
    /// of nothing says as well, and messages come with transactions only. A device that is gone is refused here too.
    private func countKeys(after problem: MatrixClientError) async throws {
        guard let masquerade else { return }
        let counts = try await client.keys(["upload"], [:], as: masquerade)
        logger.notice(
            "The bot's device gets no sync that it can read; messages that a transaction loses do not come again",
            metadata: ["error.message": "\(problem)"])
        lastSync = clock.monotonic()
        wantsSync = false
        try await refill(DeviceNews(ofUpload: counts))
    }

    private func refill(_ news: DeviceNews) async throws {
        guard let device, let masquerade else { return }
        let body = try database.transactionInPlace { connection in
            try device.keyUpload(
                oneTimeKeyCount: news.oneTimeKeyCount ?? OlmDevice.oneTimeKeyTarget,
                unusedFallbackKeyTypes: news.unusedFallbackKeyTypes, in: OlmTable(connection), at: now)
        }
        guard let body else { return }
        do {
            _ = try await client.keys(["upload"], body, as: masquerade)
        } catch {
            guard case .refused(let refusal) = error, refusal.status == 400, refusal.message.contains("already exists")
            else { throw error }
            // It has keys with these ids: our database is older than the homeserver's copy, and none of those would
            // open anything.
            try await replaceDevice(
                because: "the homeserver refuses its one-time keys (\(refusal.message)), as after the restore of an "
                    + "old database")
            return wakeUps.wake()
        }
        try database.transactionInPlace { try device.keysWereUploaded(in: OlmTable($0), at: now) }
    }

    // MARK: Keys of others

    /// One question about devices of many users; when its answer cannot be taken, one for each server, and for each
    /// user of ours.
    ///
    /// - Returns: what was asked about, with the answer; nil from those who spoil it even alone.
    /// - Throws: what is the fault of our homeserver.
    private func ask<Subject: Sendable>(
        _ path: String, about subjects: [Subject], user: (Subject) -> UserID, body: ([Subject]) -> JSONObject,
    ) async throws(MatrixClientError) -> [(subjects: [Subject], answer: JSONValue?)] {
        let masquerade = masquerade ?? .init(userID: bot)
        do throws(MatrixClientError) {
            return [(subjects, try await client.keys([path], body(subjects), as: masquerade))]
        } catch {
            guard error.mayBeSpoilt else { throw error }
        }
        // Whether it is nobody's but the homeserver's own doing, a question shows that asks no other server.
        _ = try await client.keys(["query"], OlmDevice.queryBody(for: [bot]), as: .init(userID: bot))
        var answers: [(subjects: [Subject], answer: JSONValue?)] = []
        let parts = Dictionary(grouping: subjects) { subject in
            let user = user(subject)
            return user.serverName == bot.serverName ? user.rawValue : user.serverName.rawValue
        }
        for (source, part) in parts {
            do throws(MatrixClientError) {
                answers.append((part, try await client.keys([path], body(part), as: masquerade)))
            } catch {
                guard error.mayBeSpoilt else { throw error }
                logger.warning(
                    "Keys that nobody can read spoil answers; they count as not answered",
                    metadata: ["source": "\(source)", "error.message": "\(error)"])
                answers.append((part, nil))
            }
        }
        return answers
    }

    /// Asks for the devices of everybody whose devices are not known.
    func askForDevices() async throws {
        while let users = device?.takeUsersToQuery(at: now), !users.isEmpty {
            let answers: [(subjects: [UserID], answer: JSONValue?)]
            do {
                answers = try await ask(
                    "query", about: Array(users), user: \.self, body: { OlmDevice.queryBody(for: Set($0)) })
            } catch {
                device?.queryFailed(for: users)
                throw error
            }
            // The signatures of many devices take long: others have the database in between.
            for (users, answer) in answers {
                for user in users {
                    try await change { store in
                        let outcomes =
                            try device?.takeQuery(answer ?? .object([:]), for: [user], in: store, at: now) ?? []
                        return try take(outcomes, in: store)
                    }
                    await Task.yield()
                }
            }
        }
    }

    /// Claims keys of devices that we have no session with; not of those whose last claim failed a short while ago.
    ///
    /// - Returns: those that still have none, and why.
    func claim(_ devices: [DeviceKeys]) async throws -> [DeviceAddress: OlmRefusal] {
        guard let device else { return [:] }
        let due = devices.filter { device.claimTimes.isDue($0.address, at: now) }
        var failures = Dictionary(
            devices.filter { !device.claimTimes.isDue($0.address, at: now) }
                .map { ($0.address, OlmRefusal.noOneTimeKey) }
        ) { $1 }
        guard !due.isEmpty else { return failures }
        let answers = try await ask(
            "claim", about: due, user: \.address.user,
            body: { OlmDevice.claimBody(for: $0.map(\.address)) })
        let refused = try database.transactionInPlace { connection in
            var refused: [DeviceAddress: OlmRefusal] = [:]
            for (devices, answer) in answers {
                let refusals = try device.takeClaim(
                    answer ?? .object([:]), for: devices, in: OlmTable(connection), at: now)
                refused.merge(refusals) { $1 }
            }
            return refused
        }
        for (address, refusal) in refused {
            refusals.count(refusal)
            self.device?.claimTimes.failed(address, at: now)
        }
        for keys in due where refused[keys.address] == nil { self.device?.claimTimes.succeeded(keys.address, at: now) }
        failures.merge(refused) { $1 }
        return failures
    }

    /// Makes fresh sessions to devices whose messages could not be read, and says so with a dummy. Those that cannot be
    /// reached stay due.
    private func renewSessions() async throws {
        guard let addresses = device?.devicesToRenew(at: now), !addresses.isEmpty else { return }
        let batch = addresses.prefix(Self.maximumRenewals)
        let devices = try database.transactionInPlace { connection in
            let store = OlmTable(connection)
            var devices: [DeviceKeys] = []
            for address in batch {
                if let keys = try device?.device(address, in: store) {
                    devices.append(keys)
                } else {
                    try device?.wasRenewed(address, in: store, at: now)
                }
            }
            return devices
        }
        logger.info(
            "Messages of devices could not be decrypted; they get fresh sessions",
            metadata: ["devices": "\(batch.count)"])
        let failures = try await claim(devices)
        let reached = devices.filter { failures[$0.address] == nil }
        let unsent = await sendOlm("m.dummy", Dictionary(reached.map { ($0, [:]) }) { $1 })
        try database.transactionInPlace { connection in
            for keys in reached where unsent[keys.address] == nil {
                try device?.wasRenewed(keys.address, in: OlmTable(connection), at: now)
            }
        }
    }
}
