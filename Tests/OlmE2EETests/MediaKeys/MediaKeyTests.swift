// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import Testing

@testable import OlmE2EE

@Suite("Media keys: HKDF of RFC 5869, PBKDF2 of RFC 8018")
struct MediaKeyTests {
    @Test(
        "frame keys as LiveKit's clients derive them from bytes",
        arguments: [
            ("000102030405060708090a0b0c0d0e0f", "4086b4641064e1ae8b63d4eb83ad3e7e"),
            (
                "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                "6d0dd7b3d6f4efde47ab9a9e15abde76"
            ),
        ])
    func fromBytes(material: String, key: String) throws {
        #expect(hexadecimal(try MediaKey(bytes: bytes(material)).makeCipher().copyOfKey()) == key)
    }

    @Test("a frame key as LiveKit's clients derive it from a passphrase")
    func fromPassphrase() throws {
        let cipher = try MediaKey(passphrase: "password").makeCipher()
        #expect(hexadecimal(cipher.copyOfKey()) == "421890b1557504a8ea1a90c253b419e4")
    }

    @Test("the ratchet's next key")
    func ratchet() throws {
        let next = try MediaKey(bytes: Array(0..<16)).ratcheted()
        #expect(
            hexadecimal(next.copyOfMaterial())
                == "4086b4641064e1ae8b63d4eb83ad3e7e878c21ab850a1f6b36c5954be5919e3a"
        )
    }

    @Test("HKDF-SHA-256, RFC 5869 appendix A.1")
    func rfc5869() {
        let key = [UInt8](repeating: 0x0B, count: 22)
        let salt: [UInt8] = Array(0...12)
        let info: [UInt8] = Array(0xF0...0xF9)
        var output = [UInt8](repeating: 0, count: 42)
        #expect(COpenSSLShims_hkdf_sha256(key, 22, salt, 13, info, 10, &output, 42) == 1)
        #expect(
            hexadecimal(output)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        )
    }

    @Test("PBKDF2 with HMAC-SHA-256, RFC 7914 §11")
    func rfc7914() {
        var output = [UInt8](repeating: 0, count: 64)
        #expect(COpenSSLShims_pbkdf2_sha256("passwd", 6, "salt", 4, 1, &output, 64) == 1)
        #expect(
            hexadecimal(output)
                == "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                + "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        )
    }

    @Test("keys have 16 to 64 bytes", arguments: [0, 1, 15, 65, 1000])
    func lengths(count: Int) throws {
        #expect(throws: MediaKeyFault.length(count)) {
            try MediaKey(bytes: [UInt8](repeating: 1, count: count)).makeCipher()
        }
        _ = try MediaKey(bytes: [UInt8](repeating: 1, count: 64)).makeCipher()
    }

    @Test("passphrases have 1 to 1024 bytes")
    func passphrases() {
        #expect(throws: MediaKeyFault.length(0)) { try MediaKey(passphrase: "") }
        #expect(throws: MediaKeyFault.length(1025)) {
            try MediaKey(passphrase: String(repeating: "a", count: 1025))
        }
    }

    @Test("no way of printing a key shows its bytes")
    func redaction() throws {
        let key = try MediaKey(bytes: [UInt8](repeating: 171, count: 16))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains("171"))
        }
    }
}
