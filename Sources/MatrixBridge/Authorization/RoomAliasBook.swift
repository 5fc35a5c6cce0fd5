// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU
import NIOConcurrencyHelpers

/// Which rooms the aliases of the room rules mean, as the homeserver's directory has it.
///
/// Asked again after a few minutes, since aliases move. What was known stays known while the homeserver does not
/// answer; before the first answer nothing can be said, so that a rule is never forgotten at a start.
package actor RoomAliasBook {
    private let aliases: [RoomAlias]
    private let client: MatrixClient
    private let clock: ServiceClock
    private nonisolated let rooms = NIOLockedValueBox<[RoomAlias: RoomID]>([:])
    private var answered: Set<RoomAlias> = []
    private var askedAt: MonotonicTime?
    private var failure: String?
    private var round: Task<Void, Never>?

    static let freshMilliseconds: UInt64 = 300_000
    /// After a failure.
    static let retryMilliseconds: UInt64 = 2_000

    package init(aliases: [RoomAlias], client: MatrixClient, clock: ServiceClock) {
        self.aliases = aliases
        self.client = client
        self.clock = clock
    }

    package init(rules: [RoomRule], client: MatrixClient, clock: ServiceClock) {
        self.init(
            aliases: rules.compactMap { if case .alias(let alias) = $0.place { alias } else { nil } }, client: client,
            clock: clock)
    }

    /// What is known without asking.
    package nonisolated func known(of room: RoomID) -> Set<RoomAlias> {
        rooms.withLockedValue { rooms in Set(rooms.filter { $0.value == room }.keys) }
    }

    /// The aliases of rules that mean a room.
    ///
    /// - Throws: when the homeserver did not answer yet, so that trying later helps.
    package func names(of room: RoomID) async throws(TokenExchangeRefusal) -> Set<RoomAlias> {
        guard !aliases.isEmpty else { return [] }
        if isDue {
            let current = round ?? Task { await self.ask() }
            round = current
            await current.value
        }
        guard answered.count == aliases.count else { throw .homeserverDown(failure ?? "the room directory") }
        return known(of: room)
    }

    private var isDue: Bool {
        guard let askedAt else { return true }
        let limit = failure == nil ? Self.freshMilliseconds : Self.retryMilliseconds
        return clock.monotonic().milliseconds(since: askedAt) >= limit
    }

    private func ask() async {
        failure = nil
        for alias in aliases {
            var room: RoomID?
            do throws(MatrixClientError) {
                room = try await client.room(of: alias)
            } catch {
                // What the homeserver will never answer means no room.
                guard !error.isTransient else {
                    failure = error.description
                    continue
                }
            }
            rooms.withLockedValue { [room] in $0[alias] = room }
            answered.insert(alias)
        }
        askedAt = clock.monotonic()
        round = nil
    }
}
