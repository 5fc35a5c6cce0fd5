// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("HMAC-SHA-256, RFC 4231 §4")
struct TokenDigestTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var number: Int
        var key: [UInt8]
        var message: [UInt8]
        var digest: String
        var testDescription: String { "test case \(number)" }
    }

    static let vectors = [
        Vector(
            number: 1,
            key: [UInt8](repeating: 0x0B, count: 20),
            message: Array("Hi There".utf8),
            digest: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        Vector(
            number: 2,
            key: Array("Jefe".utf8),
            message: Array("what do ya want for nothing?".utf8),
            digest: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        Vector(
            number: 3,
            key: [UInt8](repeating: 0xAA, count: 20),
            message: [UInt8](repeating: 0xDD, count: 50),
            digest: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        Vector(
            number: 6,
            key: [UInt8](repeating: 0xAA, count: 131),
            message: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            digest: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ]

    @Test("the vectors of RFC 4231", arguments: vectors)
    func rfc4231(vector: Vector) throws {
        let digest = try #require(TokenDigest.hmacSHA256(key: vector.key, message: vector.message))
        #expect(hexadecimal(digest) == vector.digest)
    }

    @Test("SHA-256 of abc, FIPS 180-4")
    func sha256() throws {
        let digest = try #require(TokenDigest.sha256(Array("abc".utf8)))
        #expect(hexadecimal(digest) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("empty keys and messages are digested, not trapped")
    func empty() throws {
        let digest = try #require(TokenDigest.hmacSHA256(key: [], message: [UInt8]()))
        #expect(hexadecimal(digest) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test("equality is of length and content")
    func equality() {
        #expect(TokenDigest.areEqual([1, 2, 3], [1, 2, 3]))
        #expect(!TokenDigest.areEqual([1, 2, 3], [1, 2, 4]))
        #expect(!TokenDigest.areEqual([1, 2, 3], [1, 2]))
        #expect(TokenDigest.areEqual([], []))
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
