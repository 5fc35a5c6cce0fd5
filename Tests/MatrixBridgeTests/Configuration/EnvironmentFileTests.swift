// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Files of environment variables")
struct EnvironmentFileTests {
    @Test(
        "lines are read as shells and compose files write them",
        arguments: [
            ("A=1", "1"), ("export A=1", "1"), ("  A = 1  ", "1"), ("A=", ""), ("A=x # note", "x"), ("A=x#y", "x#y"),
            ("A=\"x # y\" # note", "x # y"), ("A='x\\ny'", "x\\ny"), ("A=\"x\\ny\\t\\\"\\\\\\$\"", "x\ny\t\"\\$"),
            ("A=\"one\ntwo\"", "one\ntwo"), ("A=key: secret", "key: secret"), ("A=\"unknown \\q\"", "unknown \\q"),
            ("\u{FEFF}A=1\r\n", "1"), ("# note\n\nA=1", "1"), ("export=1\nA=2", nil),
        ])
    func values(text: String, value: String?) {
        let file = EnvironmentFile(reading: text)
        #expect(file.faults.isEmpty)
        if let value {
            #expect(file.variables.map(\.name) == ["A"])
            #expect(file.variables.map(\.value) == [value])
        } else {
            #expect(file.variables.map(\.name) == ["export", "A"])
        }
    }

    @Test("lines are counted over quoted line ends")
    func lines() {
        let file = EnvironmentFile(reading: "A=\"1\n2\"\n\nB=3\n")
        #expect(file.variables.map(\.line) == [1, 4])
    }

    @Test(
        "what is no assignment is refused with its place, and reading goes on",
        arguments: [
            ("A", EnvironmentFile.Fault.Reason.noEqualsSign, 1), ("A-B=1", .badName, 1), ("1A=1", .badName, 1),
            ("=1", .badName, 1), ("A=\"1", .openQuote, 3), ("A=\"1\"2", .textAfterQuote, 6),
            ("A B=1", .noEqualsSign, 1),
        ])
    func refused(text: String, reason: EnvironmentFile.Fault.Reason, column: Int) {
        let file = EnvironmentFile(reading: text + (reason == .openQuote ? "" : "\nZ=1"))
        #expect(file.faults == [EnvironmentFile.Fault(reason: reason, place: TextPlace(line: 1, column: column))])
        #expect(file.variables.map(\.name) == (reason == .openQuote ? [] : ["Z"]))
    }
}
