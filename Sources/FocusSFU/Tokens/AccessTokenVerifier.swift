// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials

/// Decides whether a token is one of ours, RFC 7515 §5.2 and RFC 7519 §7.2, restricted to HS256.
///
/// Nothing of the claims but `iss` is read before the signature is right.
package struct AccessTokenVerifier: Sendable {
    /// Bytes of a token, all three parts.
    package static let maximumByteCount = 64 * 1024
    /// Seconds by which clocks may differ.
    package static let leewaySeconds: Int64 = 60

    private let keys: APIKeySet

    package init(keys: APIKeySet) {
        self.keys = keys
    }

    /// The token of a request: that of the `Authorization` header, or without a header the `access_token` parameter.
    package static func token(
        authorization header: String?,
        parameter: String?
    ) throws(TokenRefusal) -> String {
        guard let header, !header.isEmpty else {
            guard let parameter, !parameter.isEmpty else { throw .missing }
            return parameter
        }
        let scheme = "Bearer "
        guard header.hasPrefix(scheme) else { throw .authorizationScheme }
        return String(header.dropFirst(scheme.count))
    }

    /// What `token` says, once its signature and its times are right.
    ///
    /// - Parameter now: Unix seconds.
    package func verify(_ token: String, now: Int64) throws(TokenRefusal) -> TokenClaims {
        let text = token.utf8
        guard text.count <= Self.maximumByteCount else {
            throw .tooLong(byteCount: text.count, limit: Self.maximumByteCount)
        }
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .structure(parts: parts.count) }
        let header = try Self.decode(parts[0], part: 0)
        let payload = try Self.decode(parts[1], part: 1)
        let signature = try Self.decode(parts[2], part: 2)

        try Self.checkHeader(header)
        let issuer: String = try Self.claims(Issuer.self, in: payload).iss ?? ""
        guard let key = keys[issuer] else { throw .unknownIssuer }
        let signed = text[..<parts[1].endIndex]
        guard let expected = TokenDigest.hmacSHA256(key: key.secret, message: signed),
            TokenDigest.areEqual(expected, signature)
        else { throw .signature }

        var claims = try Self.claims(TokenClaims.self, in: payload)
        claims.signature = signature
        guard claims.issuer == key.name else { throw .unknownIssuer }
        try Self.checkTimes(claims, now: now)
        return claims
    }

    private struct Header: Decodable {
        var alg: String
        var hasCriticalExtensions: Bool

        private enum CodingKeys: String, CodingKey {
            case alg, crit
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            alg = try values.decode(String.self, forKey: .alg)
            hasCriticalExtensions = values.contains(.crit)
        }
    }

    private struct Issuer: Decodable {
        var iss: String?
    }

    private static func decode(_ text: some BidirectionalCollection<UInt8>, part: Int) throws(TokenRefusal) -> [UInt8] {
        do {
            return try Base64URL.decode(text)
        } catch {
            throw .encoding(part: part)
        }
    }

    private static func checkHeader(_ bytes: [UInt8]) throws(TokenRefusal) {
        let header: Header
        do {
            header = try JSONDecoder().decode(Header.self, from: Data(bytes))
        } catch {
            throw .header
        }
        guard header.alg == "HS256" else { throw .algorithm }
        guard !header.hasCriticalExtensions else { throw .criticalExtensions }
    }

    private static func claims<Claims: Decodable>(
        _ type: Claims.Type,
        in payload: [UInt8]
    ) throws(TokenRefusal) -> Claims {
        do {
            return try JSONDecoder().decode(type, from: Data(payload))
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context)
        {
            // The first key is one of ours; deeper ones may be the sender's words.
            throw .claim(name: context.codingPath.first?.stringValue)
        } catch {
            throw .claim(name: nil)
        }
    }

    private static func checkTimes(_ claims: TokenClaims, now: Int64) throws(TokenRefusal) {
        guard let expiry = claims.expiry else { throw .noExpiry }
        let sinceExpiry = now &- expiry
        guard sinceExpiry <= leewaySeconds else { throw .expired(secondsAgo: sinceExpiry) }
        if let notBefore = claims.notBefore, notBefore &- now > leewaySeconds {
            throw .notYetValid(inSeconds: notBefore &- now)
        }
        if let issuedAt = claims.issuedAt, issuedAt &- now > leewaySeconds {
            throw .issuedInFuture(inSeconds: issuedAt &- now)
        }
    }
}
