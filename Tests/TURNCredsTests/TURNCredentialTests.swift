// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("Time-limited TURN credentials")
struct TURNCredentialTests {
    private func secret(_ text: String = "north") throws -> TURNSecret {
        try #require(TURNSecret(text))
    }

    @Test("a credential that coturn 4.6 accepts")
    func vector() throws {
        let credential = try TURNCredential(
            user: "@alice:example.com",
            lifetimeSeconds: 3600,
            now: 1_700_000_000,
            secret: try secret()
        )
        #expect(credential.username == "1700003600:@alice:example.com")
        #expect(credential.password == "8flbc5SCvTJ0haJydK+YN2Wb9O4=")
        #expect(credential.expiry == 1_700_003_600)
    }

    @Test("HMAC-SHA-1 of RFC 2202 §3, test case 2")
    func rfc2202() throws {
        // effcdf6ae5eb2fa2d27416d5f184df9c259a7c79
        let password = try TURNCredential.password(for: "what do ya want for nothing?", secret: try secret("Jefe"))
        #expect(password == "7/zfauXrL6LSdBbV8YTfnCWafHk=")
    }

    @Test(
        "lifetimes are cut to a day and never negative",
        arguments: [(0, 0), (86_400, 86_400), (86_401, 86_400), (.max, 86_400), (-1, 0), (.min, 0)] as [(Int64, Int64)]
    )
    func lifetime(asked: Int64, given: Int64) throws {
        let credential = try TURNCredential(user: "u", lifetimeSeconds: asked, now: 1000, secret: try secret())
        #expect(credential.expiry == 1000 + given)
        #expect(credential.username == "\(1000 + given):u")
    }

    @Test("extreme times do not trap", arguments: [Int64.min, -1, 0, .max])
    func times(now: Int64) throws {
        let credential = try TURNCredential(user: "u", lifetimeSeconds: 86_400, now: now, secret: try secret())
        #expect(credential.expiry >= 0)
    }

    @Test("another secret makes another password")
    func secrets() throws {
        let north = try TURNCredential.password(for: "1:u", secret: try secret())
        let south = try TURNCredential.password(for: "1:u", secret: try secret("south"))
        #expect(north != south)
    }

    @Test(
        "what coturn refuses in a user part is replaced",
        arguments: [
            ("@alice:example.com", "@alice:example.com"), ("a b", "a_b"), ("a\"b'c`d", "a_b_c_d"), ("a\\b", "a_b"),
            ("a\u{0}b\r\nc\u{7F}d", "a_b__c_d"), ("a\u{A0}b\u{2028}c\u{200B}d", "a_b_c_d"), ("é", "é"), ("", ""),
        ]
    )
    func userPart(text: String, part: String) {
        #expect(TURNCredential.userPart(text) == part)
    }

    @Test("long user parts end at a whole character")
    func longUserPart() {
        #expect(TURNCredential.userPart(String(repeating: "a", count: 1000)).utf8.count == 255)
        #expect(TURNCredential.userPart(String(repeating: "é", count: 1000)).utf8.count == 254)
    }

    @Test("a pseudonym is stable, short and says nothing")
    func pseudonym() throws {
        #expect(try TURNCredential.pseudonym(of: "abc") == "ba7816bf8f01cfea")
        #expect(
            try TURNCredential.pseudonym(of: "@alice:example.com") != TURNCredential.pseudonym(of: "@bob:example.com"))
    }

    @Test("an empty secret is none")
    func emptySecret() {
        #expect(TURNSecret("") == nil)
    }

    @Test("no way of printing a secret shows it")
    func redaction() throws {
        let secret = try secret("very secret words")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] {
            #expect(!text.contains("very secret"))
            #expect(!text.contains("118"))
        }
        #expect(try self.secret("abc").fingerprint == "ba7816bf")
    }
}
