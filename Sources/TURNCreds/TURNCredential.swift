// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import FoundationEssentials

/// Why no credential could be made.
package enum TURNCredentialFault: Error, Equatable, Sendable {
    /// OpenSSL refused HMAC-SHA-1 or SHA-256, as a system restricted to other algorithms makes it do.
    case digest
}

/// A username and a password that a TURN server accepts until the time in the username.
///
/// The scheme of draft-uberti-behave-turn-rest-00 §2.2, which coturn calls `use-auth-secret`:
///
///     username = decimal Unix seconds of the end ":" user part
///     password = base64(HMAC-SHA-1(secret, username))
///
/// The server counts quotas by the user part.
package struct TURNCredential: Equatable, Sendable {
    /// The longest lifetime: a day, as LiveKit's configuration allows.
    package static let maximumLifetimeSeconds: Int64 = 86_400
    /// Bytes of a user part; with the time it stays below the 509 of RFC 8489 §14.3.
    package static let maximumUserByteCount = 255

    package let username: String
    package let password: String
    /// Unix seconds.
    package let expiry: Int64

    /// - Parameters:
    ///   - user: Whom the server counts; what coturn does not allow in it is replaced, see ``userPart(_:)``.
    ///   - lifetimeSeconds: Cut to 0…``maximumLifetimeSeconds``.
    ///   - now: Unix seconds.
    package init(
        user: String,
        lifetimeSeconds: Int64,
        now: Int64,
        secret: TURNSecret
    ) throws(TURNCredentialFault) {
        let lifetime = min(max(lifetimeSeconds, 0), Self.maximumLifetimeSeconds)
        let (end, overflow) = max(now, 0).addingReportingOverflow(lifetime)
        expiry = overflow ? .max : end
        username = "\(expiry):\(Self.userPart(user))"
        password = try Self.password(for: username, secret: secret)
    }

    /// `text` as a user part: blanks, quotes, backslashes and control characters become `_` and the end is cut off.
    package static func userPart(_ text: String) -> String {
        var part = ""
        for scalar in text.unicodeScalars {
            let isForbidden =
                scalar.properties.isWhitespace || scalar.properties.generalCategory == .control
                || scalar.properties.generalCategory == .format
                || ["\"", "'", "`", "\\"].contains(scalar)
            let next: Unicode.Scalar = isForbidden ? "_" : scalar
            guard part.utf8.count + UTF8.width(next) <= maximumUserByteCount else { break }
            part.unicodeScalars.append(next)
        }
        return part
    }

    /// A user part that is the same for one identity and does not reveal it: 16 digits of its SHA-256.
    package static func pseudonym(of identity: String) throws(TURNCredentialFault) -> String {
        let bytes = Array(identity.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        guard COpenSSLShims_sha256(bytes, bytes.count, &digest) == 1 else { throw .digest }
        return Hexadecimal.text(of: digest.prefix(8))
    }

    /// The pseudonym of a person's device: quotas count devices, and nobody else's use counts against a person.
    package static func pseudonym(user: String, device: String?) throws(TURNCredentialFault) -> String {
        try pseudonym(of: device.map { "\(user):\($0)" } ?? user)
    }

    /// The password of a username, which may be another issuer's.
    package static func password(for username: String, secret: TURNSecret) throws(TURNCredentialFault) -> String {
        let message = Array(username.utf8)
        var digest = [UInt8](repeating: 0, count: 20)
        guard let keyLength = Int32(exactly: secret.bytes.count),
            COpenSSLShims_hmac_sha1(secret.bytes, keyLength, message, message.count, &digest) == 1
        else { throw .digest }
        return Data(digest).base64EncodedString()
    }
}
