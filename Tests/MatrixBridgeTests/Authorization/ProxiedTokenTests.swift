// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOHTTP1
import Testing

@testable import MatrixBridge

@Suite("Token requests that homeservers pass on (MSC4195)")
struct ProxiedTokenTests {
    static let alice = TokenExchangeTests.alice
    static let focusURL = "wss://rtc.example.com/livekit/sfu"
    static let token = "delegated-hs-token"

    let exchange = TokenExchangeTests()

    var routes: ProxiedTokenRoutes {
        ProxiedTokenRoutes(
            exchange: exchange.exchange(secondRegistration: true), token: Self.token, localServer: FakeHomeserver.local,
            focusURL: Self.focusURL,
            delegate: MatrixClient(
                transport: exchange.homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.rtcToken))
    }

    static func body(_ changes: JSONObject = [:]) -> [UInt8] {
        let body: JSONObject = [
            "url": .string(focusURL), "room_id": .string(TokenExchangeTests.room.rawValue),
            "slot_id": .string("m.call#room"), "member_id": .string("memberABC"),
        ]
        return JSONValue.object(body.merging(changes) { $1 }).compactJSON
    }

    static func request(
        _ body: [UInt8], token: String? = token, user: String? = alice.rawValue, origin: String? = nil,
    ) -> HTTPRequest {
        var headers = HTTPHeaders()
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let user { headers.add(name: "X-Matrix-User-Identifier", value: user) }
        if let origin { headers.add(name: "X-Matrix-Origin", value: origin) }
        return HTTPRequest(method: .POST, target: "/", headers: headers, body: body)
    }

    static func outcome(_ response: HTTPResponse) throws -> String {
        let body = try JSONValue.parse(response.body)
        return "\(response.status.code) \(body["errcode"]?.string ?? "ok")"
    }

    @Test("a joined user gets a token of ten minutes under its pseudonym")
    func local() async throws {
        await exchange.homeserver.join(Self.alice, TokenExchangeTests.room)
        let response = await routes.clientToken(Self.request(Self.body()))
        #expect(try Self.outcome(response) == "200 ok")
        let jwt = try #require(try JSONValue.parse(response.body)["jwt"]?.string)
        let claims = try TokenExchangeTests.claims(.init(url: "", jwt: jwt))
        // The vector of the contract: ["@alice:example.com","memberABC"].
        #expect(claims["sub"] == .string("M3VnsLXrkbxIDINXO64u8PZzFyD9ZYFiQULR2dshWYs"))
        #expect(claims["exp"] == .integer(exchange.clock.now / 1_000 + 600))
        #expect(claims["video"]?["canPublish"] == .bool(true))
    }

    @Test(
        "what is refused, and how",
        arguments: [
            (request(body(), token: nil), "401 M_MISSING_TOKEN"), (request(body(), token: "x"), "401 M_UNKNOWN_TOKEN"),
            (request(body(), user: nil), "401 M_UNAUTHORIZED"),
            (request(body(), user: "@rob:remote.test"), "401 M_UNAUTHORIZED"),
            (request(body(["url": .string("wss://elsewhere.test")])), "400 M_INVALID_PARAM"),
            (request(body(["slot_id": .null])), "400 M_BAD_JSON"), (request(Array("{".utf8)), "400 M_NOT_JSON"),
            (request(body(["member_id": .integer(7)])), "400 M_NOT_JSON"),
            (request(body(["room_id": .string("room")])), "400 M_BAD_JSON"),
            (request(body(), user: "@bob:example.com"), "403 M_FORBIDDEN"),
        ])
    func refusals(request: HTTPRequest, expected: String) async throws {
        await exchange.homeserver.join(Self.alice, TokenExchangeTests.room)
        #expect(try Self.outcome(await routes.clientToken(request)) == expected)
    }

    @Test("another homeserver speaks for its own users, who make no room and do not publish")
    func federated() async throws {
        let rob = Identifier.user("@rob:remote.test")
        await exchange.homeserver.join(rob, TokenExchangeTests.room)
        func ask(_ user: String?, from origin: String?) async throws -> HTTPResponse {
            let changes: JSONObject = user.map { ["user_id": .string($0)] } ?? [:]
            return await routes.federatedToken(Self.request(Self.body(changes), user: nil, origin: origin))
        }
        let response = try await ask(rob.rawValue, from: "remote.test")
        #expect(try Self.outcome(response) == "200 ok")
        let jwt = try #require(try JSONValue.parse(response.body)["jwt"]?.string)
        #expect(try TokenExchangeTests.claims(.init(url: "", jwt: jwt))["video"]?["canPublish"] == .bool(false))
        #expect(await exchange.focus.created.isEmpty)
        #expect(try Self.outcome(try await ask(rob.rawValue, from: "other.test")) == "403 M_FORBIDDEN")
        #expect(try Self.outcome(try await ask(rob.rawValue, from: nil)) == "401 M_UNAUTHORIZED")
        #expect(try Self.outcome(try await ask(nil, from: "remote.test")) == "400 M_BAD_JSON")
        #expect(try Self.outcome(try await ask("@mallory:remote.test", from: "remote.test")) == "403 M_FORBIDDEN")
    }

    @Test(
        "the answer of another homeserver is passed on, or becomes 403 or 502",
        arguments: [
            (#"{"status":200,"content":{"jwt":"theirs"}}"#, "200 ok"),
            (#"{"status":200,"content":{}}"#, "502 M_UNKNOWN"),
            (#"{"status":403,"content":{"errcode":"M_FORBIDDEN","error":"not joined"}}"#, "403 M_FORBIDDEN"),
            (#"{"status":404,"content":null}"#, "502 M_UNKNOWN"), (#"{}"#, "502 M_UNKNOWN"),
        ])
    func remote(answer: String, expected: String) async throws {
        await exchange.homeserver.join(Self.alice, TokenExchangeTests.room)
        await exchange.homeserver.answer(
            "is_joined?server_name=", with: .success(.json(.object(["joined": .bool(true)]))))
        await exchange.homeserver.answer(
            "/fed_proxy", with: .success(HTTPClientResponse(status: 200, body: Array(answer.utf8))))
        let response = await routes.clientToken(
            Self.request(Self.body(["server_name": .string("remote.test"), "url": .string("wss://remote.test")])))
        #expect(try Self.outcome(response) == expected)
    }

    @Test("a server that is not in the room is not asked")
    func serverOutside() async throws {
        await exchange.homeserver.join(Self.alice, TokenExchangeTests.room)
        await exchange.homeserver.answer(
            "is_joined?server_name=", with: .success(.json(.object(["joined": .bool(false)]))))
        let response = await routes.clientToken(Self.request(Self.body(["server_name": .string("remote.test")])))
        #expect(try Self.outcome(response) == "403 M_FORBIDDEN")
        #expect(await exchange.homeserver.requestCount(of: "/fed_proxy") == 0)
    }
}
