// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The user name fragment and password of one ICE session, RFC 8839 §5.4.
package struct ICECredentials: Hashable, Sendable {
    /// How many random bytes ``init(randomBytes:)`` takes.
    package static let randomByteCount = usernameFragmentLength + passwordLength

    /// 48 bits: also the key by which a datagram from an unknown address finds its peer.
    private static let usernameFragmentLength = 8
    /// 144 bits; the RFC asks for at least 128 (§5.4).
    private static let passwordLength = 24
    /// The 64 `ice-char`s of RFC 8839 §5.1.
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package let usernameFragment: String
    package let password: String

    /// The characters of a fragment of ours as one number: what a table of peers is kept by. Nil for another length,
    /// which none of ours has.
    static func key(ofUsernameFragment bytes: some Collection<UInt8>) -> UInt64? {
        guard bytes.count == usernameFragmentLength else { return nil }
        return bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Credentials as a description carries them; nil when shorter than 4 and 22, longer than 256 characters, or
    /// made of others than `ice-char`.
    package init?(usernameFragment: String, password: String) {
        guard Self.isValid(usernameFragment, least: 4), Self.isValid(password, least: 22) else { return nil }
        self.usernameFragment = usernameFragment
        self.password = password
    }

    /// Fresh credentials from ``randomByteCount`` cryptographically random bytes.
    package init(randomBytes: [UInt8]) {
        precondition(randomBytes.count == Self.randomByteCount, "credentials are made of exactly 32 random bytes")
        let characters = randomBytes.map { Self.alphabet[Int($0 & 63)] }
        usernameFragment = String(decoding: characters[..<Self.usernameFragmentLength], as: UTF8.self)
        password = String(decoding: characters[Self.usernameFragmentLength...], as: UTF8.self)
    }

    private static func isValid(_ text: String, least: Int) -> Bool {
        (least...256).contains(text.utf8.count) && text.utf8.allSatisfy { alphabet.contains($0) }
    }
}
