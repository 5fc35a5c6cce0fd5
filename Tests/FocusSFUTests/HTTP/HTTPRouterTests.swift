// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import NIOHTTP1
import Testing

@testable import FocusSFU

@Suite("HTTP routes")
struct HTTPRouterTests {
    /// What the router decided, as text.
    private func outcome(_ router: HTTPRouter, _ method: HTTPMethod, _ target: String) async -> String {
        let request = HTTPRequest(method: method, target: target)
        switch router.resolve(request) {
        case .route(let route, let parameters):
            return String(decoding: await route.handler(request, parameters).body, as: UTF8.self)
        case .upgrade:
            return "upgrade"
        case .answer(let response, _):
            return String(response.status.code) + (response.headers.first(name: "Allow").map { " " + $0 } ?? "")
        }
    }

    @Test("literal wins over parameter, parameter over rest, whatever the order of adding")
    func precedence() async {
        var router = HTTPRouter()
        router.on(.GET, "/*") { _, parameters in .text("rest \(parameters.rest)") }
        router.on(.GET, "/users/:id") { _, parameters in .text("user \(parameters["id"] ?? "")") }
        router.on(.GET, "/users/me") { _, _ in .text("me") }
        router.on(.GET, "/users/:id/rooms/:room") { _, parameters in
            .text("\(parameters["id"] ?? "") in \(parameters["room"] ?? "")")
        }
        #expect(await outcome(router, .GET, "/users/me") == "me")
        #expect(await outcome(router, .GET, "/users/%40a%3Ab") == "user @a:b")
        #expect(await outcome(router, .GET, "/users/x/rooms/%21r") == "x in !r")
        #expect(await outcome(router, .GET, "/users/") == "rest [\"users\", \"\"]")
        #expect(await outcome(router, .GET, "/") == "rest []")
    }

    @Test("an unknown path is 404, an unknown method 405 with the known ones")
    func unknown() async {
        var router = HTTPRouter()
        router.on(.POST, "/sfu/get") { _, _ in .text("token") }
        router.on(.GET, "/") { _, _ in .text("OK") }
        #expect(await outcome(router, .GET, "/nothing") == "404")
        #expect(await outcome(router, .GET, "/sfu/get") == "405 OPTIONS, POST")
        #expect(await outcome(router, .OPTIONS, "/sfu/get") == "200 OPTIONS, POST")
        #expect(await outcome(router, .OPTIONS, "/nothing") == "404")
        #expect(await outcome(router, .OPTIONS, "*") == "200")
        #expect(await outcome(router, .HEAD, "/") == "OK")
        #expect(await outcome(router, .GET, "/%zz") == "400")
        #expect(await outcome(router, .CONNECT, "host:443") == "400")
    }

    @Test("a WebSocket path without an upgrade is 404")
    func webSocketWithoutUpgrade() async {
        let router = HTTPRouter.webSocket(WebSocketRecorder.Log())
        #expect(await outcome(router, .GET, "/rtc") == "404")
        #expect(await outcome(router, .POST, "/rtc") == "405 GET, OPTIONS")
        #expect(await outcome(router, .OPTIONS, "/rtc") == "200 GET, OPTIONS")
    }

    @Test("a route for any method leaves OPTIONS to the router unless it is added")
    func any() async {
        var router = HTTPRouter()
        router.onAny("/p") { request, _ in .text(request.method.rawValue) }
        #expect(await outcome(router, .PUT, "/p") == "PUT")
        #expect(await outcome(router, .HEAD, "/p") == "HEAD")
        #expect(await outcome(router, .OPTIONS, "/p").hasPrefix("200 "))
        router.on(.OPTIONS, "/p") { _, _ in .text("own") }
        #expect(await outcome(router, .OPTIONS, "/p") == "own")
    }

    @Test("there is exactly one origin field, also when a handler has set one")
    func oneOrigin() {
        var response = HTTPResponse(status: .ok, headers: ["access-control-allow-origin": "https://a"])
        HTTPRouter().finish(&response, crossOrigin: nil, requestedHeaders: nil)
        #expect(response.headers["Access-Control-Allow-Origin"] == ["*"])
        #expect(
            response.headers.first(name: "Access-Control-Allow-Headers")
                == "Accept, Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization"
        )
    }

    @Test(
        "requested fields are mirrored only if they are field names",
        arguments: ["x-a, Authorization", "a\u{1}b", "é", ""])
    func mirrored(requested: String) {
        var response = HTTPResponse.empty(.ok)
        HTTPRouter().finish(&response, crossOrigin: nil, requestedHeaders: requested)
        let isMirrored = response.headers.first(name: "Access-Control-Allow-Headers") == requested
        #expect(isMirrored == (requested == "x-a, Authorization"))
    }

    @Test("a route's own policy replaces the router's")
    func ownPolicy() {
        var response = HTTPResponse.empty(.ok)
        let policy = CrossOriginPolicy(methods: ["POST"], mirrorsRequestedHeaders: false)
        HTTPRouter().finish(&response, crossOrigin: policy, requestedHeaders: "x-a")
        #expect(response.headers["Access-Control-Allow-Methods"] == ["POST"])
        #expect(response.headers.first(name: "Access-Control-Allow-Headers")?.contains("x-a") == false)
    }
}
