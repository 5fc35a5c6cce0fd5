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
        #expect(backlog.add(60))
        #expect(!backlog.add(41))
        #expect(backlog.add(40))
        #expect(backlog.add(0))
        #expect(!backlog.add(0))
        backlog.remove(60)
        #expect(backlog.add(60))
    }

    @Test("a message alone may weigh more")
    func alone() {
        var backlog = SignalBacklog(maximumCount: 3, maximumBytes: 100)
        #expect(backlog.add(1_000))
        #expect(!backlog.add(1))
        backlog.remove(1_000)
        #expect(backlog.add(1))
    }
}
