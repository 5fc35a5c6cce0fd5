// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("API keys")
struct APIKeySetTests {
    @Test("a key is found by its name")
    func lookUp() throws {
        let keys = try APIKeySet(secrets: ["b": "two", "a": "one"])
        #expect(keys.keys.map(\.name) == ["a", "b"])
        #expect(keys["b"]?.secret == Array("two".utf8))
        #expect(keys["c"] == nil)
    }

    @Test("empty names and secrets are refused")
    func faults() {
        #expect(throws: APIKeyFault.emptyName) { try APIKeySet(secrets: ["": "one"]) }
        #expect(throws: APIKeyFault.emptySecret(name: "a")) { try APIKeySet(secrets: ["a": ""]) }
    }

    @Test("the fingerprint is the start of the secret's SHA-256")
    func fingerprint() {
        #expect(APIKey(name: "a", secret: "abc").fingerprint == "ba7816bf")
    }

    @Test("no way of printing a key shows its secret")
    func redaction() throws {
        let keys = try APIKeySet(secrets: ["name": "very secret words"])
        var dumped = ""
        dump(keys, to: &dumped)
        for text in ["\(keys)", String(reflecting: keys), "\(keys.keys)", dumped] {
            #expect(!text.contains("very secret"))
            #expect(!text.contains("118, 101, 114, 121"))
        }
        #expect("\(keys.keys)".contains("fingerprint"))
    }
}
