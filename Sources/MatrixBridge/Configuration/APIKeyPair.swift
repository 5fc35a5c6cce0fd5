// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// An API key as the configuration states it: a public name and the secret that signs tokens in this name.
package struct APIKeyPair: Hashable, Sendable {
    /// The `iss` of the tokens.
    package var name: String
    package var secret: Secret

    package init(name: String, secret: Secret) {
        self.name = name
        self.secret = secret
    }

    /// The pair of `--dev`.
    package static let development = APIKeyPair(name: "devkey", secret: Secret("secret"))

    /// A fresh pair: `API` and 12 letters or digits, with a secret of 43.
    package static func random(using generator: inout some RandomNumberGenerator) -> APIKeyPair {
        let suffix = Secret.random(length: 12, using: &generator).exposed
        return APIKeyPair(name: "API" + suffix, secret: .random(using: &generator))
    }
}

/// Why an API key is refused.
package enum APIKeyWeakness: Equatable, Sendable {
    case empty
    case notASCII
    case placeholder
    case wellKnown
    case short(byteCount: Int)
    case repetitive

    /// Secrets of sample files, compared without case.
    private static let wellKnownSecrets: Set<String> = [
        "secret", "devsecret", "apisecret", "api_secret", "api-secret", "changeme", "change-me", "change_me",
        "password",
        "devkey", "test", "testsecret", "livekit", "example", "topsecret", "mysecret",
        "secretsecretsecretsecretsecretsecret", "thisisasecret", "averylongsecret",
    ]
    private static let placeholderWords = [
        "placeholder", "changeme", "change-me", "change_me", "your-", "your_", "replace-", "replace_",
    ]

    /// What speaks against a secret; nil when nothing does. A secret of `--dev` only has to be there.
    package init?(of secret: Secret, isDevelopment: Bool) {
        let text = secret.exposed
        let folded = text.lowercased()
        if text.isEmpty {
            self = .empty
        } else if !text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F }) {
            self = .notASCII
        } else if isDevelopment {
            return nil
        } else if text.hasPrefix("<") || text.hasPrefix("${") || Self.placeholderWords.contains(where: folded.contains)
        {
            self = .placeholder
        } else if Self.wellKnownSecrets.contains(folded) {
            self = .wellKnown
        } else if secret.byteCount < 32 {
            self = .short(byteCount: secret.byteCount)
        } else if Set(text).count < 8 {
            self = .repetitive
        } else {
            return nil
        }
    }

    package var problem: String {
        switch self {
        case .empty: "is empty"
        case .notASCII:
            "holds spaces or characters other than printable ASCII, so signatures would differ between programs"
        case .placeholder: "is a placeholder that was never replaced"
        case .wellKnown: "is a well-known sample value"
        case .short(let count): "has \(count) characters, 32 are needed"
        case .repetitive: "repeats a few characters and can be guessed"
        }
    }
}
