// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Glibc
import NIOHTTP1
import Testing

@testable import FocusSFU

@Suite("HTTP/1.1 connections, RFC 9112")
struct HTTPConnectionHandlerTests {
    /// `/echo` answers the body and the query `x`, `/small` takes 16 bytes, `/large` a long body with the token `good`,
    /// `/discarding` 32 KiB with that token and longer bodies without reading them, `/denied` is 401.
    private static let router: HTTPRouter = {
        var router = HTTPRouter()
        router.on(.GET, "/") { _, _ in .text("OK") }
        router.on(.POST, "/echo") { request, _ in HTTPResponse(status: .ok, body: request.body) }
        router.on(.GET, "/echo") { request, _ in .text(request.queryValue("x") ?? "none") }
        router.on(.GET, "/from") { request, _ in .text(request.remoteAddress) }
        router.on(.POST, "/small", bodyLimit: 16) { request, _ in .text("\(request.body.count)") }
        router.on(
            .POST, "/large", admission: { $0.bearerToken == "good" ? nil : .text("no", status: .unauthorized) }
        ) { request, _ in .text("\(request.body.count)") }
        router.on(
            .POST, "/discarding", bodyLimit: 32_768,
            admission: { $0.bearerToken == "good" ? nil : .text("no", status: .unauthorized) },
            oversized: { request, _ in .text("discarded, \(request.body.count) kept") }
        ) { request, _ in .text("\(request.body.count)") }
        router.on(.GET, "/denied") { _, _ in .text("invalid API key", status: .unauthorized) }
        return router
    }()

    private static func post(_ path: String, _ body: String, _ fields: String...) -> String {
        "POST \(path) HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n"
            + fields.map { $0 + "\r\n" }.joined() + "\r\n" + body
    }

    @Test("one connection serves request after request, double slashes included")
    func keepAlive() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().text == "OK")
            client.send(HTTPTestServer.get("//echo?x=a%20b"))
            #expect(try client.readResponse().text == "a b")
            client.send(Self.post("/echo", "body"))
            #expect(try client.readResponse().text == "body")
            client.send(HTTPTestServer.get("/from"))
            #expect(try client.readResponse().text == "127.0.0.1")
            #expect(test.server.connectionCount == 1)
        }
    }

    @Test("pipelined requests are answered in order")
    func pipelining() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send(
                HTTPTestServer.get("/echo?x=1") + Self.post("/echo", "two") + HTTPTestServer.get("/nothing")
                    + HTTPTestServer.get("/echo?x=4", "Connection: close")
            )
            #expect(try client.readResponse().text == "1")
            #expect(try client.readResponse().text == "two")
            #expect(try client.readResponse().status == 404)
            let last = try client.readResponse()
            #expect(last.text == "4")
            #expect(last.values("Connection") == ["close"])
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test("too many requests ahead of their answers end the connection")
    func tooFarAhead() async throws {
        try await HTTPTestServer.run(Self.router, configure: { $0.pipelineLimit = 3 }) { test in
            let client = try test.client()
            client.send(String(repeating: HTTPTestServer.get("/"), count: 20))
            for _ in 0..<4 { #expect(try client.readResponse().status == 200) }
            #expect(try client.readResponse().status == 429)
            #expect(try client.readToEnd().isEmpty)
            #expect(test.server.refusals[.tooManyPipelined] == 1)
        }
    }

    @Test("HTTP/1.0 ends with the answer unless it asks to go on")
    func http10() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try client.readResponse().values("Connection") == ["keep-alive"])
            client.send("GET / HTTP/1.0\r\n\r\n")
            #expect(try client.readResponse().values("Connection") == ["close"])
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test("HEAD has the length of the body and not the body")
    func head() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send("HEAD / HTTP/1.1\r\n\r\n" + HTTPTestServer.get("/"))
            #expect(try client.readResponse(toHead: true).values("Content-Length") == ["2"])
            #expect(try client.readResponse().text == "OK")
        }
    }

    @Test(
        "every answer carries one origin field, errors too",
        arguments: [
            ("GET /", 200), ("GET /denied", 401), ("GET /nothing", 404), ("DELETE /echo", 405), ("GET /%zz", 400),
            ("OPTIONS /echo", 200), ("POST /small", 413), ("NONSENSE /", 400),
        ]
    )
    func crossOrigin(line: String, status: Int) async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            let length = status == 413 ? 17 : 0
            client.send(
                "\(line) HTTP/1.1\r\nOrigin: https://call.example\r\nAccess-Control-Request-Headers: x-a\r\n"
                    + "Content-Length: \(length)\r\n\r\n"
            )
            let response = try client.readResponse()
            #expect(response.status == status)
            #expect(response.values("Access-Control-Allow-Origin") == ["*"])
            #expect(response.values("Access-Control-Max-Age") == ["86400"])
            #expect(response.values("Access-Control-Expose-Headers") == ["*"])
            #expect(
                response.values("Access-Control-Allow-Methods") == ["OPTIONS, HEAD, GET, POST, PATCH, DELETE, PUT"]
            )
            if line != "NONSENSE /" { #expect(response.values("Access-Control-Allow-Headers") == ["x-a"]) }
        }
    }

    @Test("a body over the route's limit is refused by its length, and in chunks when the limit is passed")
    func bodyLimit() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let exact = try test.client()
            exact.send("POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            exact.send("8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n")
            #expect(try exact.readResponse().text == "16")

            let chunked = try test.client()
            chunked.send("POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunked.send("8\r\n01234567\r\n9\r\n012345678\r\n")
            #expect(try chunked.readResponse().status == 413)
            #expect(try chunked.readToEnd().isEmpty)

            let announced = try test.client()
            announced.send("POST /small HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n")
            #expect(try announced.readResponse().status == 413)

            let unknown = try test.client()
            unknown.send("POST /nothing HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n")
            #expect(try unknown.readResponse().status == 413)
            #expect(test.server.refusals[.bodyTooLarge] == 3)
        }
    }

    @Test("strangers share one bound for long bodies: short ones, and those a route knows, still find room")
    func bodyMemory() async throws {
        try await HTTPTestServer.run(Self.router, configure: { $0.strangerBodyMemoryLimit = 20 }) { test in
            let free = String(repeating: "x", count: HTTPBodyMemory.freeByteCount)
            let holding = try test.client()
            holding.send(
                "POST /echo HTTP/1.1\r\nContent-Length: \(free.utf8.count + 16)\r\nExpect: 100-continue\r\n\r\n")
            #expect(try holding.readResponse().status == 100)
            holding.send(free + "0123456789abcde")
            // Sent earlier, the other request could be the one that still finds room.
            while test.server.bodyByteCount < 15 { sched_yield() }
            let late = try test.client()
            late.send(Self.post("/echo", free + "0123456789"))
            #expect(try late.readResponse().status == 503)
            #expect(test.server.refusals[.bodyMemory] == 1)

            let short = try test.client()
            short.send(Self.post("/echo", free))
            #expect(try short.readResponse().status == 200)
            let known = try test.client()
            known.send(Self.post("/large", free + free, "Authorization: Bearer good"))
            #expect(try known.readResponse().text == "32768")

            holding.send("f")
            #expect(try holding.readResponse().text == free + "0123456789abcdef")
            for _ in 0..<3 {
                holding.send(Self.post("/echo", free + "0123456789abcdef0123"))
                #expect(try holding.readResponse().status == 200)
            }
        }
    }

    @Test("a long body is refused at the head, or in chunks as it gets long, unless the route lets it in")
    func bodyAdmission() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let announced = try test.client()
            announced.send("POST /large HTTP/1.1\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
            #expect(try announced.readResponse().status == 401)

            let chunked = try test.client()
            chunked.send("POST /large HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunked.send("4001\r\n" + String(repeating: "x", count: 0x4001))
            #expect(try chunked.readResponse().status == 401)
            #expect(test.server.refusals[.bodyNotAdmitted] == 2)
            #expect(test.server.bodyByteCount == 0)

            let short = try test.client()
            short.send(Self.post("/large", "short"))
            #expect(try short.readResponse().text == "5")
        }
    }

    @Test("where a route does without a long body it is read, thrown away and answered, and the connection goes on")
    func discardedBody() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let long = String(repeating: "x", count: 1_000_000)
            let client = try test.client()
            client.send(Self.post("/discarding", String(long.prefix(32_768)), "Authorization: Bearer good"))
            #expect(try client.readResponse().text == "32768")
            client.send(Self.post("/discarding", long, "Authorization: Bearer good"))
            #expect(try client.readResponse().text == "discarded, 0 kept")
            client.send("POST /discarding HTTP/1.1\r\nAuthorization: Bearer good\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<10 { client.send("8000\r\n\(long.prefix(0x8000))\r\n") }
            client.send("0\r\n\r\n")
            #expect(try client.readResponse().text == "discarded, 0 kept")
            #expect(test.server.bodyByteCount == 0)
            client.send(Self.post("/discarding", "short", "Authorization: Bearer good"))
            #expect(try client.readResponse().text == "5")
            client.send(Self.post("/discarding", long))
            #expect(try client.readResponse().status == 401)
            #expect(test.server.refusals[.bodyTooLarge] == 0)
        }
    }

    @Test("a client that goes on sending a refused body still reads the answer")
    func lingering() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send("POST /small HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
            client.send([UInt8](repeating: 0x61, count: 1_000_000))
            #expect(try client.readResponse().status == 413)
        }
    }

    @Test("100 Continue is sent when asked for, and not before a refusal")
    func expectContinue() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.readResponse().status == 100)
            client.send("hi")
            #expect(try client.readResponse().text == "hi")
            client.send("POST /small HTTP/1.1\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.readResponse().status == 413)
        }
    }

    @Test("a target of 64 KiB passes, a head over the limit is 431")
    func headLimit() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            let long = String(repeating: "a", count: 65_536)
            client.send(HTTPTestServer.get("/echo?x=\(long)"))
            #expect(try client.readResponse().text == long)
            client.send(HTTPTestServer.get("/", "X-Long: \(long)"))
            #expect(try client.readResponse().text == "OK")
            client.send(HTTPTestServer.get("/echo?x=\(long)\(long)\(long)"))
            #expect(try client.readResponse().status == 431)
            #expect(try client.readToEnd().isEmpty)

            let many = try test.client()
            many.send("GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 200) + "\r\n")
            #expect(try many.readResponse().status == 431)
            #expect(test.server.refusals[.headTooLarge] == 2)
        }
    }

    @Test(
        "a request that is not HTTP/1.x is answered 400 and closed",
        arguments: [
            "garbage\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nA B: c\r\n\r\n",
            "GET / HTTP/1.1\r\n: c\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ]
    )
    func malformed(request: String) async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send(request)
            let response = try client.readResponse()
            #expect(response.status == 400)
            #expect(response.text.hasPrefix("malformed request: "))
            #expect(try client.readToEnd().isEmpty)
            #expect(test.server.refusals[.malformedRequest] == 1)
        }
    }

    @Test("a malformed request behind a good one does not take its answer away")
    func malformedBehindGood() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/") + "garbage\r\n\r\n")
            #expect(try client.readResponse().text == "OK")
            #expect(try client.readResponse().status == 400)
            #expect(try client.readToEnd().isEmpty)
        }
    }

    @Test("an upgrade to something else is served as an ordinary request")
    func otherUpgrade() async throws {
        try await HTTPTestServer.run(Self.router) { test in
            let client = try test.client()
            let upgrade = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]
            client.send(HTTPTestServer.get("/", upgrade[0], upgrade[1]) + HTTPTestServer.get("/echo?x=next"))
            #expect(try client.readResponse().text == "OK")
            #expect(try client.readResponse().text == "next")
            client.send(HTTPTestServer.get("/", "Upgrade: h2c") + HTTPTestServer.get("/echo?x=last"))
            #expect(try client.readResponse().text == "OK")
            #expect(try client.readResponse().text == "last")
            client.send("CONNECT host:443 HTTP/1.1\r\n\r\n" + HTTPTestServer.get("/"))
            #expect(try client.readResponse().status == 400)
            #expect(try client.readResponse().text == "OK")
        }
    }

    @Test("a head that does not end in time is answered 408, a silent connection just closed")
    func headTimeout() async throws {
        let short: (inout HTTPServerConfiguration) -> Void = { $0.headTimeout = .milliseconds(50) }
        try await HTTPTestServer.run(Self.router, configure: short) { test in
            #expect(try test.client().readToEnd().isEmpty)
            #expect(test.server.refusals[.headTimeout] == 0)

            // On a busy machine the time may be over before the first byte is there; then it counts as silent.
            var answer = ""
            while answer.isEmpty {
                let slow = try test.client()
                slow.send("GET / HT")
                answer = String(decoding: try slow.readToEnd(), as: UTF8.self)
            }
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(test.server.refusals[.headTimeout] == 1)
        }
    }

    @Test("a later request has as much time for its head, counted from its first byte")
    func laterHeadTimeout() async throws {
        let short: (inout HTTPServerConfiguration) -> Void = { $0.headTimeout = .seconds(1) }
        try await HTTPTestServer.run(Self.router, configure: short) { test in
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().status == 200)
            client.send("GET")
            #expect(try client.readResponse().status == 408)
            #expect(test.server.refusals[.headTimeout] == 1)
        }
    }

    @Test("a body that does not end in time is answered 408; an idle connection ends silently")
    func bodyAndIdleTimeout() async throws {
        try await HTTPTestServer.run(
            Self.router,
            configure: {
                $0.bodyTimeout = .milliseconds(50)
                $0.idleTimeout = .milliseconds(50)
            }
        ) { test in
            let body = try test.client()
            body.send("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
            #expect(try body.readResponse().status == 408)
            #expect(test.server.refusals[.bodyTimeout] == 1)

            let idle = try test.client()
            idle.send(HTTPTestServer.get("/"))
            #expect(try idle.readResponse().status == 200)
            #expect(try idle.readToEnd().isEmpty)
        }
    }

    @Test("seeded garbage never stops the server", arguments: [1, 2, 3] as [UInt64])
    func garbage(seed: UInt64) async throws {
        try await HTTPTestServer.run(Self.router, configure: { $0.lingerTimeout = .milliseconds(20) }) { test in
            var random = SplitMix(state: seed)
            let pieces = [
                "GET ", "POST ", "/echo", "?x=%", " HTTP/1.1", "\r\n", "\r\n\r\n", "Content-Length: ", "5",
                "Transfer-Encoding: chunked", "Connection: upgrade", "Upgrade: websocket", ":", " ", "0\r\n\r\n",
                "\u{0}",
                "Expect: 100-continue", "HTTP/1.0", "OPTIONS *",
            ]
            for _ in 0..<150 {
                let client = try test.client()
                var bytes: [UInt8] = []
                for _ in 0..<Int.random(in: 1...40, using: &random) {
                    if Int.random(in: 0..<4, using: &random) == 0 {
                        bytes.append(UInt8.random(in: 0...255, using: &random))
                    } else {
                        bytes += Array(pieces[Int.random(in: 0..<pieces.count, using: &random)].utf8)
                    }
                }
                client.send(bytes)
                client.endOutput()
                _ = try client.readToEnd()
            }
            let client = try test.client()
            client.send(HTTPTestServer.get("/"))
            #expect(try client.readResponse().text == "OK")
        }
    }
}

/// A small seeded generator, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
