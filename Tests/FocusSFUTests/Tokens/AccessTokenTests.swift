// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Signing access tokens, RFC 7515 §7.1")
struct AccessTokenTests {
    private let key = APIKey(name: "APIcallbridge1", secret: "a secret of the tests, 32 letters long")

    private var claims: TokenClaims {
        var claims = TokenClaims()
        claims.identity = "@alice:example.com:AAAA"
        claims.notBefore = 1_800_000_000
        claims.issuedAt = 1_800_000_000
        claims.expiry = 1_800_003_600
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.room = "a/b"
        claims.video = grant
        return claims
    }

    @Test("the same claims always make the same token, with the signature PyJWT makes of it")
    func signed() throws {
        #expect(
            try AccessToken.sign(claims, with: key)
                == "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
                + ".eyJleHAiOjE4MDAwMDM2MDAsImlhdCI6MTgwMDAwMDAwMCwiaWRlbnRpdHkiOiJAYWxpY2U6ZXhhbXBsZS5jb206QUFBQSIs"
                + "ImlzcyI6IkFQSWNhbGxicmlkZ2UxIiwibmJmIjoxODAwMDAwMDAwLCJzdWIiOiJAYWxpY2U6ZXhhbXBsZS5jb206QUFBQSIs"
                + "InZpZGVvIjp7InJvb20iOiJhL2IiLCJyb29tSm9pbiI6dHJ1ZX19"
                + ".z_8fyowhzXc_Ook-HnAc4TH5BVOzLqKs_ht4VHFGCXM"
        )
    }

    @Test("every claim comes back from the verifier")
    func roundTrip() throws {
        var claims = claims
        claims.name = "Alice Ä"
        claims.kind = "agent"
        claims.kindDetails = ["forwarded"]
        claims.metadata = #"{"m":1}"#
        claims.attributes = ["a": "b", "": "c"]
        claims.sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        claims.roomConfig = try RawJSON(text: #"{"name":"r"}"#)
        claims.roomPreset = "large"
        let token = try AccessToken.sign(claims, with: key)
        let read = try AccessTokenVerifier(keys: APIKeySet(keys: [key])).verify(token, now: 1_800_000_000)
        claims.issuer = key.name
        claims.signature = AccessToken.signature(of: token)
        #expect(claims.signature.count == 32)
        #expect(read == claims)
    }

    @Test("a token without an end is not made")
    func expiry() {
        var claims = claims
        claims.expiry = nil
        #expect(throws: AccessTokenFault.noExpiry) { try AccessToken.sign(claims, with: key) }
    }
}
