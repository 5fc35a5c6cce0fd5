// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import MatrixBridge
import NIOHTTP1
import Testing

@Suite("Routes of homeservers and Matrix clients, over a real server")
struct MatrixRoutesTests {
    static let tokenPaths = ["/sfu/get", "/get_token", "/delegate_delayed_leave"]

    let client = HTTPClient()
    let exchange = TokenExchangeTests()

    func serving(ready: Bool = true, _ body: (String) async throws -> Void) async throws {
        let process = try await TransactionInboxTests.Process(
            try TemporaryDatabase(), focus: FakeFocus(), clock: ManualClock())
        let state: HomeserverLink.State = ready ? .ready(pingMilliseconds: 1) : .connecting
        let routes = MatrixRoutes(
            appService: process.routes, tokens: TokenRoutes(exchange: exchange.exchange()),
            readiness: { Readiness(homeserver: state, backlog: 0) })
        try await HTTPClientTests.serving({ routes.register(on: &$0, prefixes: ["/livekit/jwt"]) }, body)
    }

    func send(_ method: HTTPClientRequest.Method, _ url: String, _ body: String? = nil, token: String? = nil)
        async throws -> HTTPClientResponse
    {
        var request = HTTPClientRequest(method, url)
        request.body = body.map { Array($0.utf8) }
        if let token { request.headers = [HTTPClientField("Authorization", "Bearer \(token)")] }
        return try await client.send(request)
    }

    @Test("F9: GET is 405 with an empty body, OPTIONS 200, both with one origin field, below every prefix")
    func methods() async throws {
        try await serving { base in
            for path in Self.tokenPaths + Self.tokenPaths.map({ "/livekit/jwt" + $0 }) {
                for (method, status) in [(HTTPClientRequest.Method.get, 405), (.put, 405), (.options, 200)] {
                    let response = try await send(method, base + path)
                    #expect(response.status == status, "\(method) \(path)")
                    #expect(response.body.isEmpty)
                    #expect(response.headers("Access-Control-Allow-Origin") == ["*"])
                    #expect(response.header("Access-Control-Allow-Headers")?.contains("Authorization") == true)
                }
            }
        }
    }

    @Test("F8: errors carry CORS fields and a JSON body")
    func errors() async throws {
        try await serving { base in
            for path in ["/sfu/get", "/livekit/jwt/get_token", "//sfu/get"] {
                let response = try await send(.post, base + path, "{\"room\":")
                #expect(response.status == 400)
                #expect(try JSONValue.parse(response.body)["errcode"] == .string("M_NOT_JSON"))
                #expect(response.headers("Access-Control-Allow-Origin") == ["*"])
                #expect(response.header("Content-Type") == "application/json")
            }
            let response = try await send(.post, base + "/delegate_delayed_leave", "{}")
            #expect(response.status == 400)
            #expect(response.headers("Access-Control-Allow-Origin") == ["*"])
        }
    }

    @Test("what a focus of LiveKit's reports is taken and left alone")
    func webhook() async throws {
        try await serving { base in
            let response = try await send(.post, base + "/livekit/jwt/sfu_webhook", "{\"event\":\"room_started\"}")
            #expect(response.status == 200)
        }
    }

    @Test("a token is handed out")
    func token() async throws {
        await exchange.homeserver.set("secret", belongsTo: "@alice:example.com")
        try await serving { base in
            let body = String(decoding: JSONValue.object(TokenRequestTests.slot).compactJSON, as: UTF8.self)
            let response = try await send(.post, base + "/livekit/jwt/get_token", body)
            #expect(response.status == 200)
            let answer = try JSONValue.parse(response.body)
            #expect(answer["url"] == .string("wss://rtc.example.com/livekit/sfu"))
            #expect(answer["jwt"]?.string?.isEmpty == false)
        }
    }

    @Test("the rate limit says when to come back, in field and body")
    func rateLimit() async throws {
        await exchange.homeserver.set("secret", belongsTo: "@alice:example.com")
        try await serving { base in
            let body = String(decoding: JSONValue.object(TokenRequestTests.compatibility).compactJSON, as: UTF8.self)
            var response = try await send(.post, base + "/sfu/get", body)
            for _ in 0..<20 { response = try await send(.post, base + "/sfu/get", body) }
            #expect(response.status == 429)
            #expect(response.header("Retry-After") == "1")
            #expect(try JSONValue.parse(response.body)["retry_after_ms"] == .integer(1_000))
        }
    }

    @Test("the homeserver's paths: transaction ids and user ids arrive decoded")
    func appService() async throws {
        try await serving { base in
            let cases: [(HTTPClientRequest.Method, String, String?, Int)] = [
                (.put, "/transactions/1", "hs-token", 200), (.put, "/transactions/1", nil, 401),
                (.post, "/ping", "hs-token", 200), (.post, "/ping", "as-token", 403),
                (.get, "/users/%40callbot%3Aexample.com", "hs-token", 200),
                (.get, "/rooms/%23alias%3Aexample.com", "hs-token", 404),
                (.get, "/thirdparty/protocol/irc", "hs-token", 404), (.get, "/transactions/1", "hs-token", 405),
            ]
            for (method, path, token, status) in cases {
                let body = method == .get ? nil : "{\"events\":[]}"
                let response = try await send(method, base + "/_matrix/app/v1" + path, body, token: token)
                #expect(response.status == status, "\(method) \(path)")
            }
        }
    }

    @Test("alive is not ready")
    func health() async throws {
        try await serving(ready: false) { base in
            #expect(try await send(.get, base + "/healthz").status == 200)
            #expect(try await send(.get, base + "/livekit/jwt/healthz").body.isEmpty)
            let response = try await send(.get, base + "/readyz")
            #expect(response.status == 503)
            #expect(try JSONValue.parse(response.body)["problems"]?.array?.count == 1)
        }
        try await serving { base in
            let response = try await send(.get, base + "/readyz")
            #expect(response.status == 200)
        }
    }
}
