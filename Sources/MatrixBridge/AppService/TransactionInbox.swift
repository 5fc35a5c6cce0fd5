// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
package import Logging

/// Takes effect of stored transactions.
package protocol TransactionConsumer: Sendable {
    /// Processes one transaction and marks it processed in the same database transaction as everything it stores.
    ///
    /// Called in order of arrival, one at a time; again with the same transaction when it threw.
    func consume(_ transaction: StoredTransaction) async throws
}

/// The durable queue between the homeserver and the calls.
///
/// A transaction is on the disk before the homeserver hears 200, and processed afterwards: the homeserver drops
/// to-device messages of a transaction that it must repeat, so nothing that goes wrong later may become an error there.
/// After a restart the stored ones go on where they stopped.
package actor TransactionInbox {
    /// What is not an answer of 200 with effect.
    package enum Refusal: String, CaseIterable, Sendable {
        case missingToken
        case wrongToken
        /// Not a JSON object: answered 200, since a repetition would be no better and would block the queue.
        case notJSONObject
        /// Beyond ``maximumBodyByteCount``: answered 200 for the same reason.
        case tooLarge
        /// Same id and body as an earlier one: answered 200, nothing to do.
        case repetition
        /// Could not be stored: answered 500, so that the homeserver keeps it.
        case notStored
        /// Processing failed and is tried again.
        case processingFailed
    }

    /// A body that is larger is thrown away.
    package static let maximumBodyByteCount = 50 << 20
    /// Anybody in the federation can send the bot's device a message of any form: it must not cost the events beside
    /// it.
    static let limits = JSONLimits(
        byteCount: maximumBodyByteCount, valueCount: 1 << 22, elementValueCount: JSONLimits.event.valueCount)

    private let database: Database
    private let consumer: any TransactionConsumer
    private let onLoss: @Sendable () async -> Void
    private let clock: ServiceClock
    private let logger: Logger
    /// A transaction was passed over, and ``onLoss`` not called yet.
    private var hasLoss = false
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation
    package nonisolated let refusals = Tally<Refusal>()

    private static let retry = RetryPolicy(firstDelayMilliseconds: 200, factor: 2, maximumDelayMilliseconds: 30_000)

    /// - Parameter onLoss: Called when a transaction was thrown away: the rooms have to be read anew.
    package init(
        database: Database, consumer: any TransactionConsumer, onLoss: @escaping @Sendable () async -> Void,
        clock: ServiceClock, logger: Logger,
    ) {
        self.database = database
        self.consumer = consumer
        self.onLoss = onLoss
        self.clock = clock
        self.logger = logger
        (self.wakeUps, self.wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Stores a transaction; durable when this returns.
    ///
    /// - Throws: ``SQLiteError`` when it could not be stored.
    package func accept(id: String, body: [UInt8]) async throws {
        guard (try? JSONValue.parse(body, limits: Self.limits))?.object != nil else {
            return passOver(.notJSONObject, id: id)
        }
        let hash = SecureHash.sha256(body)
        let now = clock.unixMilliseconds()
        let isNew: Bool
        do {
            isNew = try await database.transaction { connection in
                try TransactionTable.record(id: id, bodyHash: hash, body: body, receivedAt: now, in: connection)
            }
        } catch {
            refusals.count(.notStored)
            throw error
        }
        guard isNew else { return refusals.count(.repetition) }
        wakeUp.yield()
    }

    /// Does without a transaction that cannot be read; what it said of rooms we are in is in their state.
    package func passOver(_ refusal: Refusal, id: String) {
        refusals.count(refusal)
        logger.error(
            "A transaction of the homeserver could not be read and was passed over; the rooms of the bot are read anew",
            metadata: ["appservice.txn_id": "\(id)", "reason": "\(refusal.rawValue)"])
        hasLoss = true
        wakeUp.yield()
    }

    /// Transactions that are stored and not processed.
    package func backlog() async throws -> Int64 {
        try await database.read { try TransactionTable.unprocessedCount(in: $0) }
    }

    /// Processes what is stored and what arrives, until the task is cancelled. Called once.
    package func run() async {
        var failures = 0
        wakeUp.yield()
        for await _ in wakeUps {
            do {
                try await processStored()
                failures = 0
            } catch {
                failures += 1
                refusals.count(.processingFailed)
                logger.error("A stored transaction could not be processed", metadata: ["error.code": "\(error)"])
                let delay = Self.retry.delayMilliseconds(failures: failures, random: Double.random(in: 0..<1))
                guard (try? await clock.sleep(delay)) != nil else { return }
                wakeUp.yield()
            }
        }
    }

    /// Processes everything stored, in order of arrival.
    func processStored() async throws {
        while let transaction = try await database.read({ try TransactionTable.nextUnprocessed(in: $0) }) {
            try await consumer.consume(transaction)
        }
        // Not before: what is older would come after the state.
        if hasLoss {
            hasLoss = false
            await onLoss()
        }
    }
}
