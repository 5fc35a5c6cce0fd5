// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("Access to TURN servers")
struct TURNCredentialIssuerTests {
    private func issuer(_ uris: [String], lifetimeSeconds: Int64 = 3600) throws -> TURNCredentialIssuer {
        TURNCredentialIssuer(
            servers: try uris.map { try TURNServer(uri: $0) },
            secret: try #require(TURNSecret("north")),
            lifetimeSeconds: lifetimeSeconds
        )
    }

    @Test("one entry names every server, the quickest way first")
    func order() throws {
        let issuer = try issuer(["turns:b", "turn:a?transport=tcp", "turn:b", "turn:a", "turn:b?transport=udp"])
        let access = try issuer.access(user: "@alice:example.com", now: 1_700_000_000)
        #expect(
            access == [
                TURNServerAccess(
                    urls: [
                        "turn:b:3478?transport=udp", "turn:a:3478?transport=udp", "turn:a:3478?transport=tcp",
                        "turns:b:5349?transport=tcp",
                    ],
                    username: "1700003600:@alice:example.com",
                    credential: "8flbc5SCvTJ0haJydK+YN2Wb9O4=",
                    expiry: 1_700_003_600
                )
            ]
        )
    }

    @Test("without servers there is nothing to give")
    func none() throws {
        #expect(try issuer([]).access(user: "u", now: 0).isEmpty)
    }

    @Test("a lifetime beyond a day is cut")
    func lifetime() throws {
        let issuer = try issuer(["turn:a"], lifetimeSeconds: 1_000_000)
        #expect(issuer.lifetimeSeconds == 86_400)
        #expect(try issuer.access(user: "u", now: 1).first?.expiry == 86_401)
    }
}
