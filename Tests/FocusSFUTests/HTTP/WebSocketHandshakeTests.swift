// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1
import Testing

@testable import FocusSFU

@Suite("WebSocket opening handshake, RFC 6455 §4.2")
struct WebSocketHandshakeTests {
    private func accept(_ version: String?, _ key: String?, _ http: HTTPVersion = .http1_1) -> Result<String, any Error>
    {
        var headers: HTTPHeaders = [:]
        if let version { headers.add(name: "Sec-WebSocket-Version", value: version) }
        if let key { headers.add(name: "Sec-WebSocket-Key", value: key) }
        let request = HTTPRequest(method: .GET, target: "/rtc", headers: headers)
        return Result { try WebSocketHandshake.accept(request, version: http) }
    }

    @Test("the example of §1.3")
    func example() throws {
        #expect(try accept("13", "dGhlIHNhbXBsZSBub25jZQ==").get() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test("other versions are answered 426", arguments: [nil, "8", "13, 8", "0x13"])
    func version(_ version: String?) {
        #expect(throws: WebSocketHandshake.Fault.webSocketVersion) {
            try accept(version, "dGhlIHNhbXBsZSBub25jZQ==").get()
        }
    }

    @Test(
        "a key that is not 16 bytes of base64 is refused",
        arguments: [nil, "", "AAAA", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25jZQAA"]
    )
    func key(_ key: String?) {
        #expect(throws: WebSocketHandshake.Fault.key) { try accept("13", key).get() }
    }

    @Test("HTTP/1.0 has no upgrade")
    func version10() {
        #expect(throws: WebSocketHandshake.Fault.version10) {
            try accept("13", "dGhlIHNhbXBsZSBub25jZQ==", .http1_0).get()
        }
    }

    @Test("SHA-1 of the vectors in RFC 3174 §7.3, and at each padding length")
    func sha1() {
        func hex(_ bytes: [UInt8]) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        #expect(hex(WebSocketHandshake.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hex(WebSocketHandshake.sha1(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        )
        #expect(hex(WebSocketHandshake.sha1([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        for count in 50...70 {
            #expect(WebSocketHandshake.sha1([UInt8](repeating: 7, count: count)).count == 20)
        }
    }
}
