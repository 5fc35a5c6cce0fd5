// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import MatrixBridge
import Testing

@Suite("Readiness")
struct ReadinessTests {
    @Test("ready only with a connected homeserver, a readable database and a short queue")
    func conditions() {
        let ready = HomeserverLink.State.ready(pingMilliseconds: 3)
        #expect(Readiness(homeserver: ready, backlog: 0).isReady)
        #expect(Readiness(homeserver: ready, backlog: Readiness.maximumBacklog).isReady)
        #expect(!Readiness(homeserver: ready, backlog: Readiness.maximumBacklog + 1).isReady)
        #expect(!Readiness(homeserver: ready, backlog: nil).isReady)
        #expect(!Readiness(homeserver: .connecting, backlog: 0).isReady)
    }

    @Test("says in plain words why it is not ready")
    func problems() {
        let readiness = Readiness(homeserver: .unreachable(failures: 2, problem: "the url is wrong"), backlog: nil)
        #expect(readiness.problems == ["the url is wrong", "the database cannot be read"])
        #expect(readiness.body["ready"] == .bool(false))
    }
}
