// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Where TURN secrets are kept")
struct SecretStoreLocationTests {
    @Test(
        "what is taken, and how it is shown: without passwords",
        arguments: [
            ("sqlite:/var/lib/turn/turndb", "sqlite:/var/lib/turn/turndb"),
            ("sqlite:///var/lib/turn/turndb", "sqlite:/var/lib/turn/turndb"),
            (
                "postgresql://turn:hidden@db.example.org:5432/coturn?sslmode=require",
                "postgresql://db.example.org:5432/coturn"
            ),
            ("postgres://hidden@/coturn", "postgresql:///coturn"),
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://:hidden@cache:6380/3", "redis://cache:6380/3"),
            ("redis://user:hidden@[::1]:6380/3", "redis://[::1]:6380/3"),
        ])
    func taken(text: String, shown: String) throws {
        let location = try #require(SecretStoreLocation(text))
        #expect(location.description == shown)
        #expect(!"\(location)".contains("hidden"))
    }

    @Test(
        "what is not",
        arguments: [
            "", "turndb", "sqlite:turndb", "sqlite:", "mysql://a/b", "redis:", "redis://", "redis://a:0",
            "redis://a:99999",
            "redis://a/x", "redis://a/-1", "redis://user@a", "redis://:@a", "redis://[::1", "postgresql:",
        ])
    func refused(text: String) {
        #expect(SecretStoreLocation(text) == nil)
    }

    @Test("user and password may be percent-encoded")
    func encoded() {
        guard case .redis(let endpoint)? = SecretStoreLocation("redis://u%40x:p%3Aw@h") else {
            Issue.record("not taken")
            return
        }
        #expect(endpoint.user == "u@x" && endpoint.password == Secret("p:w"))
    }
}
