// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("YAML within limits")
struct YAMLTextTests {
    @Test("places count lines and columns from 1")
    func places() throws {
        let root = try YAMLText(reading: "a: 1\nb:\n  c: [x, ü, z]\n").root
        #expect(root["a"]?.place == TextPlace(line: 1, column: 4))
        guard case .sequence(let items) = root["b"]?["c"]?.content else {
            Issue.record("no list")
            return
        }
        #expect(items.map(\.place.column) == [7, 10, 13])
    }

    @Test("an empty text, a comment and null are nothing", arguments: ["", "# note\n", "---\n", "null", "~"])
    func empty(text: String) throws {
        #expect(try YAMLText(reading: text).root.content == .null)
    }

    @Test("merge keys give way to the map's own keys")
    func merge() throws {
        let root = try YAMLText(reading: "x: &d {a: 1, b: 2}\ny:\n  <<: *d\n  b: 3\n").root
        #expect(root["y"]?["a"]?.scalar == "1")
        #expect(root["y"]?["b"]?.scalar == "3")
    }

    @Test(
        "what cannot be read names its reason and line",
        arguments: [
            ("a: 1\n\tb: 2\n", YAMLText.Fault.Reason.tabIndentation, 2, 1),
            ("a: 1\nb: 2\na: 3\n", .duplicateKey("a", firstLine: 1), 3, 1),
            ("r:\n  a: 1\n  a: 2\n", .duplicateKey("a", firstLine: 2), 3, 3),
            ("- a\n- b\n", .rootIsNotMap("a list"), 1, 1),
            ("just text", .rootIsNotMap("a single value"), 1, 1),
            ("[a]: 1\n", .keyIsNotScalar, 1, 1),
            ("a: 1\n---\nb: 2\n", .severalDocuments, 2, 1),
            ("a: 1\nb: \u{1}\n", .controlCharacter, 2, 4),
        ])
    func refused(text: String, reason: YAMLText.Fault.Reason, line: Int, column: Int) {
        #expect(throws: YAMLText.Fault(reason: reason, place: TextPlace(line: line, column: column))) {
            _ = try YAMLText(reading: text)
        }
    }

    @Test("a bomb of aliases is refused, as values and as keys")
    func aliases() {
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 {
            let list = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            bomb += "a\(level): &a\(level) [\(list)]\n"
        }
        #expect(throws: YAMLText.Fault.self) { _ = try YAMLText(reading: bomb) }
        let keys = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n? [*c, *c]\n: 1\n"
        #expect(throws: YAMLText.Fault.self) { _ = try YAMLText(reading: keys) }
        var grown = "a: &a [\(Array(repeating: "x", count: 5000).joined(separator: ","))]\n"
        for name in "bcdef" { grown += "\(name): [*a, *a]\n" }
        #expect(throws: YAMLText.Fault.self) { _ = try YAMLText(reading: grown) }
    }

    @Test("too long and too deep texts are refused", arguments: ["[", "{a: ", "- ", "? "])
    func limits(opening: String) {
        #expect(throws: YAMLText.Fault.self) {
            _ = try YAMLText(reading: String(repeating: opening, count: 100_000))
        }
        let closing = opening == "[" ? "]" : opening == "{a: " ? "}" : ""
        let nested = String(repeating: opening, count: 500) + "x" + String(repeating: closing, count: 500)
        #expect(throws: YAMLText.Fault.self) { _ = try YAMLText(reading: "k:\n  " + nested) }
        #expect(throws: YAMLText.Fault(reason: .tooLong(byteCount: 1_048_577), place: .start)) {
            _ = try YAMLText(reading: String(repeating: "#", count: 1_048_577))
        }
    }

    @Test("odd texts are refused or read, never trapped")
    func odd() {
        for text in [
            "*a", "&a", "&a [*a]", "!!x", "%YAML 9.9\n---\n", "a: |", "a: >-\n", "? a", "- - -", "{", "}", "\"", "'",
            "a: !!binary x", "!<!> x", "<<: 1", "<<: [1, {a: 2}]", "\u{FEFF}a: 1", "a: \"\\uD800\"", "a: 1\r\nb: 2\r\n",
            "@", "`",
        ] {
            _ = try? YAMLText(reading: text, anyRoot: true)
        }
    }
}
