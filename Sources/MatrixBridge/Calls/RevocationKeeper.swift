// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import Logging

/// Remembers removals beyond a restart of ours: clients may come back with the tokens they have, and whoever was
/// removed still has one.
package struct RevocationKeeper: Sendable {
    private let database: Database
    private let clock: ServiceClock
    private let logger: Logger

    package init(database: Database, clock: ServiceClock, logger: Logger) {
        self.database = database
        self.clock = clock
        self.logger = logger
    }

    /// Stores that a participant was removed just now; durable when this returns.
    package func note(_ participant: FocusParticipant) async {
        let revocation = RevocationTable.Revocation(
            participant: participant, unixSeconds: clock.unixMilliseconds() / 1_000)
        do {
            try await database.transaction { try RevocationTable.store(revocation, in: $0) }
        } catch {
            logger.error(
                "A removal from a call could not be stored: until a restart of this process it counts all the same",
                metadata: ["error.code": "\(error)"])
        }
    }

    /// Hands out what was stored, oldest first.
    package func restore(_ revoke: (_ participant: FocusParticipant, _ unixSeconds: Int64) -> Void) async throws {
        for revocation in try await database.read({ try RevocationTable.load(from: $0) }) {
            revoke(revocation.participant, revocation.unixSeconds)
        }
    }
}
