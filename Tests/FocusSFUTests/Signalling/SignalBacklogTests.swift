// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Signal messages that wait for the worker")
struct SignalBacklogTests {
    /// Whether each of the messages found room.
    private static func add(_ messages: Int..., to backlog: inout SignalBacklog) -> [Bool] {
        messages.map { backlog.add($0) }
    }

    @Test("so many by number, so many by weight; what was taken makes room")
    func bounds() {
        var backlog = SignalBacklog(maximumCount: 3, maximumBytes: 100)
        let first = Self.add(60, 41, 40, 0, 0, to: &backlog)
        #expect(first == [true, false, true, true, false])
        backlog.remove(60)
        let second = Self.add(61, 60, to: &backlog)
        #expect(second == [false, true])
    }

    @Test("a message alone may weigh more")
    func alone() {
        var backlog = SignalBacklog(maximumCount: 3, maximumBytes: 100)
        let first = Self.add(1_000, 1, to: &backlog)
        #expect(first == [true, false])
        backlog.remove(1_000)
        let second = Self.add(1, to: &backlog)
        #expect(second == [true])
    }
}
