// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOCore
import NIOHTTP1
import Testing

@testable import FocusSFU

@Suite("HTTP request as a value")
struct HTTPRequestTests {
    @Test(
        "leading slashes are collapsed, others are kept",
        arguments: [
            ("/rtc", "/rtc"), ("//rtc", "/rtc"), ("////rtc/v1", "/rtc/v1"), ("/a//b", "/a//b"), ("/", "/"), ("//", "/"),
            ("http://host:1//rtc?x=1", "/rtc"), ("http://host", "/"), ("http://host?x=1", "/"), ("*", "*"),
        ]
    )
    func path(target: String, path: String) {
        #expect(HTTPRequest(method: .GET, target: target).path == path)
    }

    @Test("segments are decoded one by one, so an escaped slash stays inside its segment")
    func segments() {
        #expect(HTTPRequest(method: .GET, target: "/u/%40a%3Ab%2Fc/").pathSegments == ["u", "@a:b/c", ""])
        #expect(HTTPRequest(method: .GET, target: "/").pathSegments == [])
    }

    @Test(
        "a path that is not percent-encoded UTF-8 has no segments", arguments: ["/%", "/%4", "/%GG", "/%FF", "/a/%C3"])
    func malformedPath(target: String) {
        #expect(HTTPRequest(method: .GET, target: target).pathSegments == nil)
    }

    @Test("the first of equal query names counts; broken pairs are left out")
    func query() {
        let request = HTTPRequest(method: .GET, target: "/rtc?a=1&a=2&b=x%20y+z&flag&bad=%zz&c==%3D&?=q")
        #expect(request.queryValue("a") == "1")
        #expect(request.queryValue("b") == "x y z")
        #expect(request.queryValue("flag") == "")
        #expect(request.queryValue("bad") == nil)
        #expect(request.queryValue("c") == "==")
        #expect(request.queryValue("?") == "q")
        #expect(request.query == "a=1&a=2&b=x%20y+z&flag&bad=%zz&c==%3D&?=q")
    }

    @Test("the bearer prefix is case-sensitive")
    func bearer() {
        func token(_ value: String) -> String? {
            HTTPRequest(method: .GET, target: "/", headers: ["authorization": value]).bearerToken
        }
        #expect(token("Bearer abc") == "abc")
        #expect(token("bearer abc") == nil)
        #expect(token("Basic abc") == nil)
        #expect(HTTPRequest(method: .GET, target: "/").bearerToken == nil)
    }

    @Test("an upgrade needs GET and both fields")
    func upgrade() {
        let fields: HTTPHeaders = ["Connection": "keep-alive, UPGRADE", "Upgrade": "WebSocket"]
        #expect(HTTPRequest(method: .GET, target: "/", headers: fields).isWebSocketUpgrade)
        #expect(!HTTPRequest(method: .POST, target: "/", headers: fields).isWebSocketUpgrade)
        #expect(!HTTPRequest(method: .GET, target: "/", headers: ["Upgrade": "websocket"]).isWebSocketUpgrade)
        let other: HTTPHeaders = ["Connection": "upgrade", "Upgrade": "h2c"]
        #expect(!HTTPRequest(method: .GET, target: "/", headers: other).isWebSocketUpgrade)
    }

    @Test("the claimed client is the first that a proxy names")
    func claimedClient() {
        var request = HTTPRequest(method: .GET, target: "/", remoteAddress: "10.0.0.1")
        #expect(request.claimedClientAddress == "10.0.0.1")
        request.headers.add(name: "X-Forwarded-For", value: "192.0.2.7, 10.0.0.2")
        #expect(request.claimedClientAddress == "192.0.2.7")
    }

    @Test("no control character of a value reaches the wire")
    func responseSplitting() {
        let response = HTTPResponse(status: .ok, headers: ["X-A": "1\r\nSet-Cookie: x"], body: [1])
        let bytes = response.encoded(answeringHead: false, version: .http1_1, keepsAlive: true)
        #expect(String(buffer: bytes) == "HTTP/1.1 200 OK\r\nX-A: 1  Set-Cookie: x\r\nContent-Length: 1\r\n\r\n\u{1}")
    }

    @Test("204 has neither body nor length")
    func noContent() {
        let bytes = HTTPResponse.empty(.noContent).encoded(answeringHead: false, version: .http1_0, keepsAlive: true)
        #expect(String(buffer: bytes) == "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")
    }
}
