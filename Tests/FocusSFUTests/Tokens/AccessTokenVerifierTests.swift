// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Verifying access tokens, RFC 7515 §5.2, RFC 7519 §7.2")
struct AccessTokenVerifierTests {
    /// Between the fixtures' `nbf` and `exp`.
    private static let now: Int64 = 1_800_000_000
    private static let key = APIKey(name: "APIcallbridge1", secret: "a secret of the tests, 32 letters long")
    private static let other = APIKey(name: "APIcallbridge2", secret: "another secret of the tests, as long")
    private static let verifier = AccessTokenVerifier(keys: APIKeySet(keys: [key, other]))

    private func signed(header: String = #"{"alg":"HS256"}"#, payload: String, with key: APIKey = key) throws -> String
    {
        let input = "\(Base64URL.encode(header.utf8)).\(Base64URL.encode(payload.utf8))"
        let signature = try #require(TokenDigest.hmacSHA256(key: key.secret, message: input.utf8))
        return "\(input).\(Base64URL.encode(signature))"
    }

    private func verify(payload: String, now: Int64 = now) throws -> TokenClaims {
        try Self.verifier.verify(try signed(payload: payload), now: now)
    }

    // MARK: Tokens of others

    @Test("the token of RFC 7515 appendix A.1 is right at its time and expired today")
    func rfc7515() throws {
        let token =
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
            + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let secret = try Base64URL.decode(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow".utf8
        )
        let verifier = AccessTokenVerifier(keys: APIKeySet(keys: [APIKey(name: "joe", secret: secret)]))
        let claims = try verifier.verify(token, now: 1_300_819_380)
        #expect(claims.issuer == "joe")
        #expect(claims.expiry == 1_300_819_380)
        #expect(throws: TokenRefusal.expired(secondsAgo: 499_180_620)) { try verifier.verify(token, now: Self.now) }
    }

    @Test("a participant's token of livekit-api 1.2.2")
    func participantToken() throws {
        let claims = try Self.verifier.verify(LiveKitAPITokens.participant, now: Self.now)
        #expect(claims.identity == "@alice:example.com:AAAA")
        #expect(claims.issuer == Self.key.name)
        #expect(claims.name == "Alice")
        #expect(claims.metadata == #"{"m":1}"#)
        #expect(claims.attributes == ["a": "b", "ö": "ü"])
        #expect(claims.expiry == 4_948_801_907)
        #expect(claims.notBefore == 1_795_201_907)
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.room = "hash room"
        grant.canPublish = true
        grant.canSubscribe = true
        grant.canPublishData = false
        grant.canPublishSources = ["camera", "microphone"]
        grant.canUpdateOwnMetadata = true
        #expect(claims.grant == grant)
    }

    @Test("a backend's token of livekit-api 1.2.2")
    func backendToken() throws {
        let claims = try Self.verifier.verify(LiveKitAPITokens.backend, now: Self.now)
        #expect(claims.kind == "egress")
        #expect(claims.sha256 == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
        #expect(claims.grant.roomCreate)
        #expect(claims.grant.roomList)
        #expect(claims.grant.mayAdminister(room: "r"))
        #expect(claims.grant.destinationRoom == "q")
        #expect(claims.grant.hidden)
        #expect(claims.grant.recorder)
        #expect(!claims.grant.roomJoin)
    }

    @Test("a token of livekit-api 1.2.2 that configures its room")
    func roomConfigurationToken() throws {
        let claims = try Self.verifier.verify(LiveKitAPITokens.roomConfiguration, now: Self.now)
        #expect(
            claims.roomConfig?.text == #"{"emptyTimeout":30,"maxParticipants":5,"metadata":"meta","name":"r"}"#
        )
    }

    // MARK: Signature

    @Test("only HS256 counts", arguments: ["none", "None", "HS384", "RS256", "ES256", "hs256", ""])
    func algorithms(name: String) throws {
        let token = try signed(header: #"{"alg":"\#(name)"}"#, payload: #"{"iss":"APIcallbridge1","exp":1900000000}"#)
        #expect(throws: TokenRefusal.algorithm) { try Self.verifier.verify(token, now: Self.now) }
    }

    @Test("an unsigned token is refused, whether it says so or not")
    func unsigned() {
        let payload = Base64URL.encode(#"{"iss":"APIcallbridge1","exp":1900000000}"#.utf8)
        let none = Base64URL.encode(#"{"alg":"none"}"#.utf8)
        let claimed = Base64URL.encode(#"{"alg":"HS256"}"#.utf8)
        #expect(throws: TokenRefusal.algorithm) { try Self.verifier.verify("\(none).\(payload).", now: Self.now) }
        #expect(throws: TokenRefusal.signature) { try Self.verifier.verify("\(claimed).\(payload).", now: Self.now) }
    }

    @Test("the secret must be that of the named key")
    func wrongKey() throws {
        let token = try signed(payload: #"{"iss":"APIcallbridge1","exp":1900000000}"#, with: Self.other)
        #expect(throws: TokenRefusal.signature) { try Self.verifier.verify(token, now: Self.now) }
        #expect(throws: TokenRefusal.unknownIssuer) {
            try AccessTokenVerifier(keys: APIKeySet(keys: [Self.other])).verify(LiveKitAPITokens.backend, now: Self.now)
        }
    }

    @Test("a token without issuer is of an unknown one", arguments: [#"{"exp":1900000000}"#, #"{"iss":null}"#])
    func noIssuer(payload: String) throws {
        #expect(throws: TokenRefusal.unknownIssuer) { try verify(payload: payload) }
    }

    @Test("critical extensions are refused, RFC 7515 §4.1.11")
    func criticalExtensions() throws {
        let token = try signed(
            header: #"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            payload: #"{"iss":"APIcallbridge1","exp":1900000000}"#
        )
        #expect(throws: TokenRefusal.criticalExtensions) { try Self.verifier.verify(token, now: Self.now) }
    }

    @Test("a change of any character is refused")
    func mutations() {
        let characters = Array(LiveKitAPITokens.participant.utf8)
        for index in characters.indices {
            for replacement in [UInt8(ascii: "A"), UInt8(ascii: "b"), UInt8(ascii: "."), UInt8(ascii: "="), 0x00]
            where characters[index] != replacement {
                var mutated = characters
                mutated[index] = replacement
                #expect(throws: TokenRefusal.self, "character \(index)") {
                    try Self.verifier.verify(String(decoding: mutated, as: UTF8.self), now: Self.now)
                }
            }
        }
    }

    @Test("a token cut anywhere is refused")
    func truncations() {
        let token = LiveKitAPITokens.backend
        for length in 0..<token.utf8.count {
            #expect(throws: TokenRefusal.self, "length \(length)") {
                try Self.verifier.verify(String(token.prefix(length)), now: Self.now)
            }
        }
    }

    // MARK: Structure

    @Test("three parts, no more and no fewer")
    func structure() {
        for (text, parts) in [("", 1), ("a", 1), ("a.b", 2), ("a.b.c.d", 4), ("a.b.c.d.e", 5)] {
            #expect(throws: TokenRefusal.structure(parts: parts)) { try Self.verifier.verify(text, now: Self.now) }
        }
    }

    @Test("each part must be base64url without padding")
    func encoding() throws {
        let parts = LiveKitAPITokens.backend.split(separator: ".").map(String.init)
        for part in 0..<3 {
            for damage in ["=", "+", " ", "\n", "é"] {
                var damaged = parts
                damaged[part] += damage
                #expect(throws: TokenRefusal.encoding(part: part)) {
                    try Self.verifier.verify(damaged.joined(separator: "."), now: Self.now)
                }
            }
        }
    }

    @Test(
        "the header must be an object that names its algorithm", arguments: ["", "1", "[]", "{}", #"{"alg":1}"#, "{"])
    func header(text: String) throws {
        let token = try signed(header: text, payload: #"{"iss":"APIcallbridge1","exp":1900000000}"#)
        #expect(throws: TokenRefusal.header) { try Self.verifier.verify(token, now: Self.now) }
    }

    @Test("the claims must be an object", arguments: ["", "1", "[]", "null", "{", "\u{0}"])
    func claimsObject(payload: String) {
        #expect(throws: TokenRefusal.claim(name: nil)) { try verify(payload: payload) }
    }

    @Test(
        "a claim of the wrong type is named",
        arguments: [
            (#"{"iss":1}"#, "iss"),
            (#"{"iss":"APIcallbridge1","exp":"1900000000"}"#, "exp"),
            (#"{"iss":"APIcallbridge1","exp":1e300}"#, "exp"),
            (#"{"iss":"APIcallbridge1","exp":1900000000,"video":{"roomJoin":"yes"}}"#, "video"),
            (#"{"iss":"APIcallbridge1","exp":1900000000,"attributes":{"a":1}}"#, "attributes"),
            (#"{"iss":"APIcallbridge1","exp":1900000000,"metadata":{}}"#, "metadata"),
        ]
    )
    func claimTypes(payload: String, name: String) {
        #expect(throws: TokenRefusal.claim(name: name)) { try verify(payload: payload) }
    }

    @Test("unknown claims and `identity` are not read; `jti` stands in for `sub`")
    func identity() throws {
        let start = #"{"iss":"APIcallbridge1","exp":1900000000,"aud":["a"],"identity":"mallory""#
        #expect(try verify(payload: start + "}").identity.isEmpty)
        #expect(try verify(payload: start + #","jti":"bob"}"#).identity == "bob")
        #expect(try verify(payload: start + #","jti":"bob","sub":"alice"}"#).identity == "alice")
    }

    @Test("nesting too deep is refused, not trapped", arguments: [600, 20_000])
    func depth(levels: Int) throws {
        let nest = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        for name in ["aud", "iss", "roomConfig"] {
            let payload = #"{"exp":1900000000,"\#(name)":\#(nest)}"#
            #expect(throws: TokenRefusal.self) { try verify(payload: payload) }
        }
        let token = try signed(header: #"{"alg":"HS256","x":\#(nest)}"#, payload: "{}")
        #expect(throws: TokenRefusal.header) { try Self.verifier.verify(token, now: Self.now) }
    }

    @Test("a room configuration nested too deep is refused after the signature")
    func roomConfigurationDepth() throws {
        let nest = String(repeating: "[", count: 400) + String(repeating: "]", count: 400)
        #expect(throws: TokenRefusal.claim(name: "roomConfig")) {
            try verify(payload: #"{"iss":"APIcallbridge1","exp":1900000000,"roomConfig":\#(nest)}"#)
        }
    }

    @Test("64 KiB are read, not one byte more")
    func size() throws {
        let limit = AccessTokenVerifier.maximumByteCount
        let long = String(repeating: "a", count: limit + 1)
        #expect(throws: TokenRefusal.tooLong(byteCount: limit + 1, limit: limit)) {
            try Self.verifier.verify(long, now: Self.now)
        }
        let metadata = String(repeating: "m", count: 40_000)
        let claims = try verify(payload: #"{"iss":"APIcallbridge1","exp":1900000000,"metadata":"\#(metadata)"}"#)
        #expect(claims.metadata.utf8.count == 40_000)
    }

    // MARK: Times

    @Test("a token without expiry is refused")
    func noExpiry() {
        #expect(throws: TokenRefusal.noExpiry) { try verify(payload: #"{"iss":"APIcallbridge1"}"#) }
    }

    @Test("60 seconds of difference between clocks are allowed")
    func leeway() throws {
        let expiring = #"{"iss":"APIcallbridge1","exp":1800000000}"#
        #expect(try verify(payload: expiring, now: 1_800_000_060).expiry == 1_800_000_000)
        #expect(throws: TokenRefusal.expired(secondsAgo: 61)) { try verify(payload: expiring, now: 1_800_000_061) }

        let starting = #"{"iss":"APIcallbridge1","exp":1900000000,"nbf":1800000000}"#
        #expect(try verify(payload: starting, now: 1_799_999_940).notBefore == 1_800_000_000)
        #expect(throws: TokenRefusal.notYetValid(inSeconds: 61)) { try verify(payload: starting, now: 1_799_999_939) }

        let issued = #"{"iss":"APIcallbridge1","exp":1900000000,"iat":1800000000}"#
        #expect(try verify(payload: issued, now: 1_799_999_940).issuedAt == 1_800_000_000)
        #expect(throws: TokenRefusal.issuedInFuture(inSeconds: 61)) { try verify(payload: issued, now: 1_799_999_939) }
    }

    @Test("fractions of seconds are cut")
    func fractions() throws {
        #expect(try verify(payload: #"{"iss":"APIcallbridge1","exp":1900000000.75}"#).expiry == 1_900_000_000)
    }

    // MARK: Transport

    @Test("the header goes before the parameter")
    func transport() throws {
        #expect(try AccessTokenVerifier.token(authorization: "Bearer abc", parameter: "def") == "abc")
        #expect(try AccessTokenVerifier.token(authorization: nil, parameter: "def") == "def")
        #expect(throws: TokenRefusal.authorizationScheme) {
            try AccessTokenVerifier.token(authorization: "bearer abc", parameter: "def")
        }
        #expect(throws: TokenRefusal.authorizationScheme) {
            try AccessTokenVerifier.token(authorization: "Basic abc", parameter: nil)
        }
        #expect(throws: TokenRefusal.missing) { try AccessTokenVerifier.token(authorization: nil, parameter: "") }
    }

    @Test("clients get the words they know")
    func bodies() {
        #expect(TokenRefusal.missing.responseBody == "permissions denied")
        #expect(TokenRefusal.unknownIssuer.responseBody == "invalid API key")
        #expect(TokenRefusal.signature.responseBody == "invalid authorization token")
        #expect(TokenRefusal.expired(secondsAgo: 61).responseBody.hasPrefix("invalid authorization token: "))
        #expect(
            TokenRefusal.authorizationScheme.responseBody == "invalid authorization header. Must start with Bearer "
        )
    }
}
