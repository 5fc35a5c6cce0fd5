// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Signal messages that wait for the worker")
struct SignalBacklogTests {
    @Test("so many by number, so many by weight; what was taken makes room")
    func bounds() {
        var backlog = SignalBacklog(maximumCount: 3, maximumBytes: 100)
        let taken = [60, 41, 40, 0, 0].map { backlog.add($0) }
        #expect(taken == [true, false, true, true, false])
        backlog.remove(60)
        let next = backlog.add(60)
        #expect(next)
    }

    @Test("a message alone may weigh more")
    func alone() {
        var backlog = SignalBacklog(maximumCount: 3, maximumBytes: 100)
        let taken = [1_000, 1].map { backlog.add($0) }
        #expect(taken == [true, false])
        backlog.remove(1_000)
        let next = backlog.add(1)
        #expect(next)
    }
}
