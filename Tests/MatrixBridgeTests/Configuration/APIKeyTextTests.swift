// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("API keys as people write them")
struct APIKeyTextTests {
    struct Spelling: Sendable, CustomTestStringConvertible {
        var text: String
        var pairs: [String]
        var testDescription: String { text.debugDescription }
    }

    static let spellings: [Spelling] = [
        Spelling(text: "name: secret", pairs: ["name secret"]),
        Spelling(text: "name:secret", pairs: ["name secret"]),
        Spelling(text: "name=secret", pairs: ["name secret"]),
        Spelling(text: "  name  =  secret  ", pairs: ["name secret"]),
        Spelling(text: "name: sec=ret==", pairs: ["name sec=ret=="]),
        Spelling(text: "name=sec:ret", pairs: ["name sec:ret"]),
        Spelling(text: "\"name: secret\"", pairs: ["name secret"]),
        Spelling(text: "'name: secret'", pairs: ["name secret"]),
        Spelling(text: "\"name\": \"secret\"", pairs: ["name secret"]),
        Spelling(text: "name: \"sec,ret;#x\"", pairs: ["name sec,ret;#x"]),
        Spelling(text: "{name: secret}", pairs: ["name secret"]),
        Spelling(text: "{name:secret}", pairs: ["name secret"]),
        Spelling(text: "{\"name\":\"secret\"}", pairs: ["name secret"]),
        Spelling(text: "{\"a\": \"1\", \"b\": \"2\"}", pairs: ["a 1", "b 2"]),
        Spelling(text: "[{\"a\": \"1\"}, {\"b\": \"2\"}]", pairs: ["a 1", "b 2"]),
        Spelling(text: "[\"a: 1\", \"b=2\"]", pairs: ["a 1", "b 2"]),
        Spelling(text: "a: 1\nb: 2", pairs: ["a 1", "b 2"]),
        Spelling(text: "a: 1\r\nb: 2\r\n", pairs: ["a 1", "b 2"]),
        Spelling(text: "a: 1, b: 2", pairs: ["a 1", "b 2"]),
        Spelling(text: "a=1;b=2", pairs: ["a 1", "b 2"]),
        Spelling(text: "- a: 1\n- b: 2", pairs: ["a 1", "b 2"]),
        Spelling(text: "# both\na: 1 # first\n\nb: 2", pairs: ["a 1", "b 2"]),
        Spelling(text: "a: 1#2", pairs: ["a 1#2"]),
        Spelling(text: "name: it's", pairs: ["name it's"]),
        Spelling(text: "name:", pairs: ["name "]),
        Spelling(text: "", pairs: []),
    ]

    @Test("each spelling gives the same pairs", arguments: spellings)
    func spelling(_ spelling: Spelling) {
        let read = APIKeyText(reading: spelling.text)
        #expect(read.pairs.map { "\($0.key.name) \($0.key.secret.exposed)" } == spelling.pairs)
        #expect(read.faults.isEmpty)
    }

    @Test(
        "what is no pair is refused with its line",
        arguments: [
            ("lonely", APIKeyText.Fault.Reason.noSeparator, 1), ("a: 1\nlonely", .noSeparator, 2),
            (": secret", .noName, 1), ("two words: secret", .badName, 1), ("näme: secret", .badName, 1),
            ("name: \"open", .openQuote, 1), ("{a: {b: c}}", .notText, 1),
        ])
    func refused(text: String, reason: APIKeyText.Fault.Reason, line: Int) {
        let faults = APIKeyText(reading: text).faults
        #expect(faults.map(\.reason) == [reason])
        #expect(faults.map(\.place.line) == [line])
    }

    @Test("the places of a map in YAML are kept")
    func places() throws {
        let root = try YAMLText(reading: "keys:\n  a: 1\n  b: 2\n").root
        let read = APIKeyText(reading: try #require(root["keys"]))
        #expect(read.pairs.map(\.place) == [TextPlace(line: 2, column: 6), TextPlace(line: 3, column: 6)])
    }

    @Test(
        "no text traps", arguments: ["{", "[", "\"", "'", "{\"a\":", ",;,;", "=", ":", "::==", "- ", "{a: [}", "\u{0}"])
    func odd(text: String) {
        let read = APIKeyText(reading: text)
        #expect(read.pairs.isEmpty || read.faults.isEmpty)
    }
}
