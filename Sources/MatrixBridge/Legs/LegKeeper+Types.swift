// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
package import Logging

extension LegKeeper {
    package enum Event: String, CaseIterable, Sendable {
        case begun
        case resumed
        /// A membership of ours that no leg had.
        case strayCleared
        case told
        case alone
        case limit
        case mediaEnded
        case membershipRefused
        case leaveRefused
        case deviceReplaced
        case shutDown
        case storeFailed
    }

    /// What the keeper works with.
    package struct Dependencies: Sendable {
        var database: Database
        var coordinator: CallCoordinator
        var focus: any FocusControlling
        var homeserver: any LegHomeserver
        var entrance: any EchoEntering
        var keys: MediaKeyDesk
        var facts: RoomFactsBook
        var aliases: RoomAliasBook?
        var policy: AccessPolicy
        var clock: ServiceClock
        var logger: Logger

        package init(
            database: Database, coordinator: CallCoordinator, focus: any FocusControlling,
            homeserver: any LegHomeserver, entrance: any EchoEntering, keys: MediaKeyDesk,
            facts: RoomFactsBook, aliases: RoomAliasBook?, policy: AccessPolicy, clock: ServiceClock, logger: Logger,
        ) {
            self.database = database
            self.coordinator = coordinator
            self.focus = focus
            self.homeserver = homeserver
            self.entrance = entrance
            self.keys = keys
            self.facts = facts
            self.aliases = aliases
            self.policy = policy
            self.clock = clock
            self.logger = logger
        }
    }

    /// Why there is no echo, for people.
    package struct Refusal: Error, Equatable, Sendable {
        package var sentence: String
    }

    /// How the leg of a room stands.
    package enum Standing: Equatable, Sendable {
        case none
        case joining
        case here(echoed: UInt64)
        case leaving
        /// It was there since the start of this process, and is no longer; why.
        case ended(String)
        /// It left, and still stands in the call: the homeserver does not take its membership back; its words.
        case stuck(String)
    }

    /// Work that takes its time.
    enum Job: Equatable, Sendable {
        case requests(RoomID, UInt64)
        case media(RoomID, UInt64)
        case keys(RoomID, UInt64)
    }
}
