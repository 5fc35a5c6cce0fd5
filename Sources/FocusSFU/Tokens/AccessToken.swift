// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// Why claims could not become a token.
package enum AccessTokenFault: Error, Equatable, Sendable {
    /// ``TokenClaims/expiry`` is absent; no verifier would accept the token.
    case noExpiry
    /// JSON or the digest failed.
    case notEncodable
}

/// Makes access tokens: JSON Web Tokens, RFC 7519, signed with HS256 (RFC 7518 §3.2) in compact form (RFC 7515 §7.1).
package enum AccessToken {
    /// `{"alg":"HS256","typ":"JWT"}`
    private static let header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

    /// The token that says `claims` in the name of `key`; it becomes the issuer.
    package static func sign(_ claims: TokenClaims, with key: APIKey) throws(AccessTokenFault) -> String {
        guard claims.expiry != nil else { throw .noExpiry }
        var claims = claims
        claims.issuer = key.name
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let payload: Data
        do {
            payload = try encoder.encode(claims)
        } catch {
            throw .notEncodable
        }
        let input = "\(header).\(Base64URL.encode(payload))"
        guard let signature = TokenDigest.hmacSHA256(key: key.secret, message: input.utf8) else {
            throw .notEncodable
        }
        return "\(input).\(Base64URL.encode(signature))"
    }

    /// The signature of a token of ours.
    static func signature(of token: String) -> [UInt8] {
        (try? Base64URL.decode(Array(token.utf8.split(separator: UInt8(ascii: ".")).last ?? []))) ?? []
    }
}
