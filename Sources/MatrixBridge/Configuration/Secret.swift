// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU

/// A text that must never be shown: it describes itself by its first two characters and its fingerprint.
///
/// Two places that hold the same secret can be recognised by the fingerprint; the secret cannot be found from it, given
/// that it is long enough to be accepted.
package struct Secret: Hashable, Sendable {
    private let text: String

    package init(_ text: String) {
        self.text = text
    }

    /// The secret itself, for signing, comparing and writing to a private file.
    package var exposed: String { text }

    package var byteCount: Int { text.utf8.count }

    /// The first 8 hexadecimal digits of the SHA-256 of the UTF-8 text.
    /// The focus says the same of its keys.
    package var fingerprint: String {
        APIKey(name: "", secret: text).fingerprint
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `ab… (sha256 1f2e3d4c)`; a secret under 16 bytes shows no characters.
    package var description: String {
        (byteCount >= 16 ? String(text.prefix(2)) : "") + "… (sha256 \(fingerprint))"
    }

    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Secret {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

    /// Letters and digits only, so that no shell, YAML or URL changes it; 43 of them hold 256 bits.
    package static func random(
        length: Int = 43, using generator: inout some RandomNumberGenerator
    ) -> Secret {
        Secret(String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }))
    }
}
