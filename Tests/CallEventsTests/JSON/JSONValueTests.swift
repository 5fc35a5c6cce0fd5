// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("JSON values, RFC 8259")
struct JSONValueTests {
    static func parse(_ text: String, limits: JSONLimits = .event) throws(JSONRefusal) -> JSONValue {
        try JSONValue.parse(Array(text.utf8), limits: limits)
    }

    @Test("an element of a list that is too deep or holds too much counts as null and costs nothing beside it")
    func passedOver() throws {
        let limits = JSONLimits(byteCount: 1 << 20, valueCount: 1_000, elementValueCount: 100)
        let deep = String(repeating: "[", count: 500) + #""]}{[\"""# + String(repeating: "]", count: 500)
        let wide = "{\"a\":[" + String(repeating: "1,", count: 200) + "1]}"
        let parsed = try Self.parse(#"{"events":[{"a":1}, \#(deep) ,\#(wide),[2]],"txn":[3]}"#, limits: limits)
        #expect(
            parsed
                == .object([
                    "events": .array([.object(["a": .integer(1)]), .null, .null, .array([.integer(2)])]),
                    "txn": .array([.integer(3)]),
                ]))
        // The whole stays bounded, and what is not closed is refused.
        let many = Array(repeating: "[" + Array(repeating: "1", count: 90).joined(separator: ",") + "]", count: 20)
        #expect(throws: JSONRefusal.tooManyValues) {
            try Self.parse(#"{"events":[\#(many.joined(separator: ","))]}"#, limits: limits)
        }
        #expect(throws: JSONRefusal.truncated) {
            try Self.parse(#"{"events":["# + String(repeating: "[", count: 500), limits: limits)
        }
        #expect(throws: JSONRefusal.tooDeep) { try Self.parse(#"{"a":{"b":\#(deep)}}"#, limits: limits) }
    }

    struct Case: Sendable {
        let text: String
        let value: JSONValue
    }

    @Test(
        "a document gives its value",
        arguments: [
            Case(text: " null ", value: .null),
            Case(text: "true", value: .bool(true)),
            Case(text: "-0", value: .integer(0)),
            Case(text: "9223372036854775807", value: .integer(.max)),
            Case(text: "9223372036854775808", value: .number(9_223_372_036_854_775_808)),
            Case(text: "1.5e2", value: .number(150)),
            Case(text: #""a\"\\\/\b\f\n\r\t\u00e9""#, value: .string("a\"\\/\u{8}\u{c}\n\r\té")),
            Case(text: #""\ud83d\ude00""#, value: .string("😀")),
            Case(text: #""\ud83dx""#, value: .string("\u{FFFD}x")),
            Case(text: #""\ud83d\u0041""#, value: .string("\u{FFFD}A")),
            Case(text: #""\ude00""#, value: .string("\u{FFFD}")),
            Case(text: "[1,[],{}]", value: .array([.integer(1), .array([]), .object([:])])),
            Case(text: #"{"a":1,"a":2}"#, value: .object(["a": .integer(2)])),
        ])
    func values(_ test: Case) throws {
        #expect(try Self.parse(test.text) == test.value)
    }

    @Test(
        "a malformed document is refused for its reason",
        arguments: [
            ("", JSONRefusal.truncated), ("{", .truncated), ("[1,", .truncated), (#""a"#, .truncated),
            ("-", .truncated),
            (#""\u12"#, .truncated), ("tru", .truncated), ("1.", .truncated), ("1e", .truncated),
            ("trux", .unexpectedByte), ("[1 2]", .unexpectedByte), (#"{"a" 1}"#, .unexpectedByte),
            ("{1:2}", .unexpectedByte), ("[,]", .unexpectedByte), ("NaN", .unexpectedByte), ("[1,]", .unexpectedByte),
            ("01", .trailingBytes), ("1 1", .trailingBytes), ("1.x", .invalidNumber), ("-x", .invalidNumber),
            ("1e999", .invalidNumber), (#""\x""#, .invalidEscape), (#""\u12g4""#, .invalidEscape),
            ("\"\u{1}\"", .controlCharacter), ("\"\\n\u{1}\"", .controlCharacter),
        ])
    func refusals(_ text: String, _ refusal: JSONRefusal) {
        #expect(throws: refusal) { try Self.parse(text) }
    }

    @Test("bytes that are not UTF-8 are refused, with and without an escape before them")
    func invalidUTF8() {
        #expect(throws: JSONRefusal.invalidUTF8) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONRefusal.invalidUTF8) { try JSONValue.parse([0x22, 0x5C, 0x6E, 0xC0, 0x80, 0x22]) }
    }

    @Test("limits hold at their edge")
    func limits() throws {
        let nested = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
        _ = try Self.parse(nested(64))
        #expect(throws: JSONRefusal.tooDeep) { try Self.parse(nested(65)) }
        #expect(throws: JSONRefusal.tooDeep) { try Self.parse(String(repeating: "[", count: 200_000)) }
        #expect(throws: JSONRefusal.tooDeep) { try Self.parse(String(repeating: #"{"a":"#, count: 40_000)) }
        let small = JSONLimits(byteCount: 5, valueCount: 2)
        #expect(throws: JSONRefusal.tooManyValues) { try Self.parse("[1,2]", limits: small) }
        #expect(throws: JSONRefusal.tooManyBytes) { try Self.parse("[1   ]", limits: small) }
        _ = try Self.parse("[1  ]", limits: small)
    }

    @Test("accessors give nil for another kind of value")
    func accessors() throws {
        let value = try Self.parse(#"{"s":"x","i":3,"n":3.0,"f":3.5,"b":true,"a":[1],"o":{"k":null}}"#)
        #expect(value["s"]?.string == "x")
        #expect(value["i"]?.integer == 3)
        #expect(value["n"]?.integer == 3)
        #expect(value["f"]?.integer == nil)
        #expect(value["b"]?.bool == true)
        #expect(value["a"]?.array == [.integer(1)])
        #expect(value["o"]?["k"] == .null)
        #expect(value["s"]?["k"] == nil)
        #expect(value["i"]?.string == nil)
        #expect(value["b"]?.integer == nil)
    }

    @Test("compact JSON sorts names by code point and escapes only what it must")
    func compact() throws {
        let value = try Self.parse(
            #"{ "b": [1, 2.5, 4.0, true, null], "a": "</&>\u2028", "é": "\u0001\u001f\"\\\n\b\f\r\t", "Z": {} }"#)
        let expected =
            #"{"Z":{},"a":"</&>"# + "\u{2028}" + #"","b":[1,2.5,4,true,null],"é":"\u0001\u001f\"\\\n\b\f\r\t"}"#
        #expect(String(decoding: value.compactJSON, as: UTF8.self) == expected)
        #expect(try JSONValue.parse(value.compactJSON).compactJSON == value.compactJSON)
        #expect(JSONValue.number(.infinity).compactJSON == Array("null".utf8))
    }
}
