// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("The last line")
struct TerminationTests {
    @Test("one line, whatever the parts hold")
    func oneLine() {
        let termination = Termination(.database, cause: "a\nb", source: "c", fix: "d:\n  e")
        #expect(termination.description == "error: a; b — c — d:; e")
        #expect(termination.status.rawValue == 14)
    }

    @Test("exit codes are fixed")
    func codes() {
        #expect(ExitStatus.allCases.map(\.rawValue) == [0, 1, 10, 11, 12, 13, 14, 15, 64])
    }
}
