// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Base64url, RFC 4648 §5")
struct Base64URLTests {
    /// RFC 4648 §10, without padding.
    static let vectors = [
        ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test("the vectors of RFC 4648 §10", arguments: vectors)
    func rfc4648(text: String, encoded: String) throws {
        #expect(Base64URL.encode(text.utf8) == encoded)
        #expect(try Base64URL.decode(encoded.utf8) == Array(text.utf8))
    }

    @Test("the octets of RFC 7515 appendix C")
    func rfc7515() throws {
        #expect(Base64URL.encode([3, 236, 255, 224, 193]) == "A-z_4ME")
        #expect(try Base64URL.decode("A-z_4ME".utf8) == [3, 236, 255, 224, 193])
    }

    @Test("every length goes there and back", arguments: 0..<70)
    func roundTrip(length: Int) throws {
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 91) }
        #expect(try Base64URL.decode(Base64URL.encode(bytes).utf8) == bytes)
    }

    @Test("padding is refused unless it is allowed")
    func padding() throws {
        #expect(throws: Base64URLError.character(offset: 2)) { try Base64URL.decode("Zg==".utf8) }
        #expect(try Base64URL.decode("Zg==".utf8, padding: .optional) == Array("f".utf8))
        #expect(try Base64URL.decode("Zm8=".utf8, padding: .optional) == Array("fo".utf8))
        #expect(try Base64URL.decode("Zm8".utf8, padding: .optional) == Array("fo".utf8))
        #expect(try Base64URL.decode("Zm9v".utf8, padding: .optional) == Array("foo".utf8))
    }

    @Test(
        "wrong padding is refused",
        arguments: ["Zg=", "Zm8==", "Zm9v=", "Zm9v====", "=", "==", "Zg===", "Z===", "Zg=g", "Zg= ="]
    )
    func wrongPadding(text: String) {
        #expect(throws: Base64URLError.self) { try Base64URL.decode(text.utf8, padding: .optional) }
    }

    @Test("what is not in the alphabet is refused", arguments: ["Zm+v", "Zm/v", "Zm 9", "Zm9\n", "Zm9é", "Z.9v"])
    func alphabet(text: String) {
        #expect(throws: Base64URLError.self) { try Base64URL.decode(text.utf8) }
    }

    @Test("one character more than full groups is refused")
    func length() {
        #expect(throws: Base64URLError.length) { try Base64URL.decode("Zm9vZ".utf8) }
    }

    @Test("bits beyond the last byte must be zero", arguments: ["Zh", "Zm9"])
    func trailingBits(text: String) {
        #expect(throws: Base64URLError.trailingBits) { try Base64URL.decode(text.utf8) }
    }
}
