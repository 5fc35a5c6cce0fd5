// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Self-test at start")
struct SelfTestTests {
    @Test("a process can make a call with itself, and says how long the first packet took")
    func passes() async throws {
        guard case .passed(let microseconds) = await SelfTest.run() else {
            Issue.record("the self-test failed")
            return
        }
        #expect(microseconds > 0)
    }
}
