// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why a request has no valid token. No case holds anything secret, and none repeats the token.
package enum TokenRefusal: Error, Equatable, Sendable {
    /// Neither header nor parameter.
    case missing
    /// An `Authorization` header that does not start with `Bearer `.
    case authorizationScheme
    case tooLong(byteCount: Int, limit: Int)
    /// Not three parts with dots between.
    case structure(parts: Int)
    /// A part that is not base64url without padding, counted from 0.
    case encoding(part: Int)
    /// The header is not a JSON object with an `alg`.
    case header
    /// Signed with another algorithm than HS256, or not at all.
    case algorithm
    /// The header demands extensions (`crit`, RFC 7515 §4.1.11); none is implemented.
    case criticalExtensions
    /// A claim of the wrong type, or no JSON object at all.
    case claim(name: String?)
    /// No key has the name in `iss`.
    case unknownIssuer
    case signature
    case noExpiry
    case expired(secondsAgo: Int64)
    /// `nbf` lies ahead.
    case notYetValid(inSeconds: Int64)
    /// `iat` lies ahead.
    case issuedInFuture(inSeconds: Int64)
}

extension TokenRefusal: CustomStringConvertible {
    /// One sentence for the person who looks for the fault.
    package var description: String {
        switch self {
        case .missing:
            "The request carries no access token."
        case .authorizationScheme:
            "The Authorization header does not start with \"Bearer \"."
        case .tooLong(let byteCount, let limit):
            "The token has \(byteCount) bytes; \(limit) are allowed."
        case .structure(let parts):
            "The token has \(parts) parts between dots instead of 3."
        case .encoding(let part):
            "The token's \(Self.partName(part)) is not base64url without padding."
        case .header:
            "The token's header is not a JSON object that names its algorithm."
        case .algorithm:
            "The token is not signed with HS256."
        case .criticalExtensions:
            "The token's header demands extensions that this server does not have."
        case .claim(let name?):
            "The token's claim \(name) has the wrong type."
        case .claim(nil):
            "The token's claims are not a JSON object."
        case .unknownIssuer:
            "The token names an API key that this server does not have."
        case .signature:
            "The token's signature does not fit the secret of the API key it names."
        case .noExpiry:
            "The token has no expiry."
        case .expired(let seconds):
            "The token expired \(seconds) s ago; if it is new, compare the clocks."
        case .notYetValid(let seconds):
            "The token becomes valid in \(seconds) s; if it is in use, compare the clocks."
        case .issuedInFuture(let seconds):
            "The token was issued \(seconds) s ahead of this server's time; compare the clocks."
        }
    }

    /// The text LiveKit clients expect in the body of the 401 that answers this.
    package var responseBody: String {
        switch self {
        case .missing:
            "permissions denied"
        case .authorizationScheme:
            "invalid authorization header. Must start with Bearer "
        case .unknownIssuer:
            "invalid API key"
        case .expired:
            "invalid authorization token: token is expired"
        case .notYetValid, .issuedInFuture:
            "invalid authorization token: token is not valid yet"
        case .tooLong, .structure, .encoding, .header, .algorithm, .criticalExtensions, .claim, .signature, .noExpiry:
            "invalid authorization token"
        }
    }

    private static func partName(_ part: Int) -> String {
        switch part {
        case 0: "header"
        case 1: "payload"
        default: "signature"
        }
    }
}
