// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Matrix identifiers")
struct MatrixIdentifierTests {
    @Test(
        "server names",
        arguments: [
            ("example.com", true), ("localhost:8448", true), ("1.2.3.4", true), ("[::1]", true),
            ("[2001:db8::1]:80", true),
            ("a", true), ("", false), (":80", false), ("example.com:", false), ("example.com:123456", false),
            ("example.com:8a", false), ("exa mple", false), ("under_score", false), ("[::1", false), ("[]", false),
            ("[::g]", false), ("[::1]x", false), ("ex\u{e4}mple", false), ("a:1:2", false),
        ])
    func serverNames(_ text: String, _ isValid: Bool) {
        #expect((ServerName(text) != nil) == isValid)
    }

    @Test(
        "user ids",
        arguments: [
            ("@alice:example.com", true), ("@:example.com", true), ("@a b/=+\u{e9}:h:80", true),
            ("alice:example.com", false),
            ("@alice", false), ("@alice:", false), ("@al\nice:h", false), ("", false), ("@", false),
        ])
    func userIDs(_ text: String, _ isValid: Bool) {
        #expect((UserID(text) != nil) == isValid)
    }

    @Test(
        "room aliases",
        arguments: [
            ("#hall:example.com", true), ("#:example.com", true), ("#a b#c:h:80", true), ("#\u{e9}:[::1]", true),
            ("hall:example.com", false), ("#hall", false), ("#hall:", false), ("#ha\nll:h", false), ("", false),
            ("#", false), ("!hall:example.com", false),
        ])
    func roomAliases(_ text: String, _ isValid: Bool) {
        #expect((RoomAlias(text) != nil) == isValid)
    }

    @Test("a user id knows its parts")
    func userParts() throws {
        let user = try EventSamples.user("@alice:[::1]:8448")
        #expect(user.localpart == "alice")
        #expect(user.serverName.rawValue == "[::1]:8448")
    }

    @Test("a room of version 12 has no server")
    func roomIDs() {
        #expect(RoomID("!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM") != nil)
        #expect(RoomID("!room:example.com") != nil)
        #expect(RoomID("!") == nil)
        #expect(RoomID("#room:example.com") == nil)
        #expect(EventID("$abc") != nil)
        #expect(EventID("abc") == nil)
        #expect(DeviceID("") == nil)
        #expect(DeviceID("ABC\u{0}") == nil)
    }

    @Test("255 bytes are the limit, not characters")
    func lengths() {
        let limit = MatrixText.maximumByteCount
        #expect(RoomID("!" + String(repeating: "a", count: limit - 1)) != nil)
        #expect(RoomID("!" + String(repeating: "a", count: limit)) == nil)
        #expect(DeviceID(String(repeating: "é", count: 128)) == nil)
    }

    @Test("composed and decomposed letters are different users")
    func byteEquality() throws {
        let composed = try EventSamples.user("@\u{e9}:h")
        let decomposed = try EventSamples.user("@e\u{301}:h")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed, composed]).count == 2)
        #expect(decomposed < composed)
    }
}
