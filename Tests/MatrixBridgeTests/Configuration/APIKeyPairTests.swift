// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Secrets and their weaknesses")
struct APIKeyPairTests {
    @Test("a secret never shows more than two characters and its fingerprint")
    func masked() {
        let secret = Secret(Sample.secret)
        #expect(secret.description.hasPrefix("4Q… (sha256 "))
        for shown in ["\(secret)", String(reflecting: secret), "\(APIKeyPair(name: "a", secret: secret))"] {
            #expect(!shown.contains(Sample.secret.dropFirst(2)))
        }
        var dumped = ""
        dump(APIKeyPair(name: "a", secret: secret), to: &dumped)
        #expect(!dumped.contains(Sample.secret.dropFirst(2)))
    }

    @Test("the fingerprint is the beginning of SHA-256, FIPS 180-4 vector for abc")
    func fingerprint() {
        #expect(Secret("abc").fingerprint == "ba7816bf")
        #expect(Secret("abc").description == "… (sha256 ba7816bf)")
    }

    @Test(
        "weak secrets are named",
        arguments: [
            ("", APIKeyWeakness.empty), ("with space and more than thirty-two", .notASCII), ("ünïcode", .notASCII),
            ("secret", .wellKnown), ("APISecret", .wellKnown), ("changeme", .placeholder), ("password", .wellKnown),
            ("LIVEKIT_API_SECRET_PLACEHOLDER_VALUE", .placeholder),
            ("<your secret>".replacing(" ", with: "-"), .placeholder),
            ("abcdefgh12345678", .short(byteCount: 16)), (String(repeating: "ab", count: 20), .repetitive),
        ])
    func weak(text: String, weakness: APIKeyWeakness) {
        #expect(APIKeyWeakness(of: Secret(text), isDevelopment: false) == weakness)
    }

    @Test("a fresh pair is accepted, and development accepts a short secret")
    func accepted() {
        var generator = CountingGenerator()
        let fresh = APIKeyPair.random(using: &generator)
        #expect(APIKeyWeakness(of: fresh.secret, isDevelopment: false) == nil)
        #expect(fresh.secret.byteCount == 43 && fresh.name.hasPrefix("API"))
        #expect(APIKeyWeakness(of: APIKeyPair.development.secret, isDevelopment: true) == nil)
    }
}
