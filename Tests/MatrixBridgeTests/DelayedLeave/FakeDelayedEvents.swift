// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging

@testable import MatrixBridge

/// Delayed events of a homeserver in memory.
actor FakeDelayedEvents: DelayedEventManaging {
    var answers: [DelayedLeave.Answer] = []
    var found: DelayedEventDescription?
    var unreachable: Set<ServerName> = []
    private(set) var requests: [(DelayedLeave.Request, String)] = []

    func answer(_ answers: DelayedLeave.Answer...) { self.answers = answers }
    func find(_ description: DelayedEventDescription?) { found = description }
    func cutOff(_ server: ServerName) { unreachable.insert(server) }

    var log: [String] { requests.map { "\($0.0.rawValue) \($0.1)" } }

    func lookUp(_ delayID: String, of user: UserID) async -> DelayedEventDescription? { found }

    func canReach(_ server: ServerName) async -> Bool { !unreachable.contains(server) }

    /// The prepared answers one after the other, then success.
    func perform(_ request: DelayedLeave.Request, _ order: DelayedLeave.Order) async -> DelayedLeave.Answer {
        requests.append((request, order.delayID))
        return answers.isEmpty ? .done : answers.removeFirst()
    }
}

extension DelayedLeaveKeeper {
    static func ofTests(
        _ focus: FakeFocus, _ events: FakeDelayedEvents, _ clock: ManualClock, path: String = ":memory:",
    ) throws -> DelayedLeaveKeeper {
        DelayedLeaveKeeper(
            database: try Database(path: path), focus: focus, events: events, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// One look and everything it led to.
    func work() async {
        for due in await check() { await perform(due) }
    }
}
