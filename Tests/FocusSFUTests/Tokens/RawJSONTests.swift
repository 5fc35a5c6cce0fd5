// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import Testing

@testable import FocusSFU

@Suite("JSON kept as text")
struct RawJSONTests {
    @Test("every kind of value survives")
    func kinds() throws {
        let text = #"{"a":[1,-2,0.5,true,false,null,"x/y"],"b":{},"c":9007199254740993}"#
        #expect(try RawJSON(text: text).text == text)
    }

    @Test("keys are sorted, blanks are dropped")
    func canonical() throws {
        #expect(try RawJSON(text: "{ \"b\" : 1,\n \"a\" : [ ] }").text == #"{"a":[],"b":1}"#)
    }

    @Test("it is encoded as the value it stands for")
    func encoding() throws {
        let encoded = try JSONEncoder().encode(["key": try RawJSON(text: "[1]")])
        #expect(String(decoding: encoded, as: UTF8.self) == #"{"key":[1]}"#)
    }

    @Test("nesting has an end", arguments: [(20, true), (40, false), (400, false), (20_000, false)])
    func depth(levels: Int, isAllowed: Bool) {
        let text = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        #expect(((try? RawJSON(text: text)) != nil) == isAllowed)
    }
}
