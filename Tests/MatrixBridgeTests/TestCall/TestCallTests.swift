// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import NIOHTTP1
import Testing

@testable import MatrixBridge

@Suite("The test call: links, runs and the page")
struct TestCallTests {
    private let clock = ManualClock()
    private let keys: APIKeySet
    private let tokens: TestCallTokens
    private let verifier: AccessTokenVerifier

    init() throws {
        keys = try APIKeySet(secrets: ["APIgood": Sample.secret])
        tokens = try #require(TestCallTokens(keys: keys))
        verifier = AccessTokenVerifier(keys: keys)
    }

    private var now: Int64 { clock.now / 1_000 }

    private func routes(isOpen: Bool = false) -> TestCallRoutes {
        TestCallRoutes(tokens: tokens, isOpen: isOpen, clock: clock.clock)
    }

    private func post(_ token: String?) -> HTTPRequest {
        HTTPRequest(
            method: .POST, target: "/test/run", headers: token.map { ["Authorization": "Bearer \($0)"] } ?? [:])
    }

    @Test("a link starts runs for 15 minutes, and joins nothing itself")
    func link() throws {
        let link = try tokens.link(now: now)
        try tokens.checkLink(link, now: now + 900)
        #expect(throws: TokenRefusal.expired(secondsAgo: 61)) { try tokens.checkLink(link, now: now + 961) }
        let claims = try verifier.verify(link, now: now)
        #expect(!claims.grant.roomJoin && !claims.grant.roomCreate)
    }

    @Test("the tokens of a run open one room nobody can guess, each for its part alone")
    func run() throws {
        var generator = CountingGenerator()
        let run = try tokens.run(now: now, using: &generator)
        #expect(run.room.hasPrefix("test-") && run.room.utf8.count >= 25)
        #expect(try tokens.run(now: now, using: &generator).room != run.room)
        let parts = try [run.publisher, run.listener, run.relay].map { try verifier.verify($0, now: now) }
        #expect(parts.map(\.identity) == ["publisher", "listener", "relay"])
        for claims in parts {
            #expect(claims.grant.roomJoin && claims.grant.room == run.room)
            #expect(!claims.grant.roomAdmin && claims.roomConfig != nil)
            #expect(claims.expiry == now + TestCallTokens.runLifetimeSeconds)
        }
        #expect(parts.map(\.grant.canPublish) == [true, false, false])
        #expect(parts.map(\.grant.canSubscribe) == [false, true, false])
        // A token of a run must not start further runs.
        #expect(throws: TokenRefusal.self) { try tokens.checkLink(run.publisher, now: now) }
    }

    @Test("no link, an old one, a foreign one and an ordinary token are told apart and counted")
    func refusals() throws {
        let routes = routes()
        let stranger = try #require(TestCallTokens(keys: try APIKeySet(secrets: ["APIgood": Sample.secret + "x"])))
        let old = try tokens.link(now: now - 2_000)
        for (token, word) in [
            (nil, "missing"), ("", "missing"), (old, "expired"), (try stranger.link(now: now), "invalid"),
            ("nonsense", "invalid"),
        ] {
            let response = routes.run(post(token))
            #expect(response.status == .unauthorized)
            #expect(response.body == Array("{\"error\":\"\(word)\"}".utf8))
            #expect(response.headers["Cache-Control"] == ["no-store"])
        }
        #expect(routes.refusals[.missing] == 2 && routes.refusals[.expired] == 1 && routes.refusals[.invalid] == 2)
    }

    @Test("with a link a run starts; in development without one")
    func starts() throws {
        for (routes, token) in [(routes(), try tokens.link(now: now)), (routes(isOpen: true), nil)] {
            let response = routes.run(post(token))
            #expect(response.status == .ok)
            let body = try JSONValue.parse(response.body)
            let publisher = try #require(body["publisher"]?.string)
            #expect(try verifier.verify(publisher, now: now).grant.room == body["room"]?.string)
        }
    }

    @Test("runs are limited, for all together, and come back with time")
    func rate() {
        let routes = routes(isOpen: true)
        let statuses = (0..<21).map { _ in routes.run(post(nil)).status }
        #expect(statuses.prefix(20).allSatisfy { $0 == .ok })
        #expect(statuses.last == .tooManyRequests)
        #expect(routes.run(post(nil)).headers["Retry-After"] == ["2"])
        #expect(routes.refusals[.busy] == 2)
        clock.advance(milliseconds: 1_000)
        #expect(routes.run(post(nil)).status == .ok)
    }

    @Test("every file says what it is, lets nothing foreign in, and is not sent twice")
    func files() throws {
        for file in TestCallFile.all {
            let fresh = file.answer(to: HTTPRequest(method: .GET, target: "/test/" + file.name))
            #expect(fresh.status == .ok && !fresh.body.isEmpty, "\(file.name)")
            let policy = try #require(fresh.headers["Content-Security-Policy"].first)
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("\n"))
            #expect(fresh.headers["X-Content-Type-Options"] == ["nosniff"])
            let tag = try #require(fresh.headers["ETag"].first)
            for known in [tag, "W/" + tag, "\"other\", " + tag] {
                let again = file.answer(
                    to: HTTPRequest(method: .GET, target: "/test", headers: ["If-None-Match": known]))
                #expect(again.status == .notModified && again.body.isEmpty)
            }
            let text = String(decoding: file.body, as: UTF8.self)
            // Offline: no address of anybody.
            #expect(!text.contains("//cdn") && text.firstRange(of: "src=\"http") == nil)
        }
    }

    @Test("the page is there at the root and below each prefix, its slash leads back to it")
    func served() async throws {
        let routes = routes(isOpen: true)
        let client = HTTPClient()
        try await HTTPClientTests.serving({ routes.register(on: &$0, prefixes: ["/livekit/sfu"]) }) { base in
            for prefix in ["", "/livekit/sfu"] {
                let page = try await client.send(HTTPClientRequest(.get, base + prefix + "/test"))
                #expect(page.status == 200 && page.header("Content-Type") == "text/html; charset=utf-8")
                let script = try await client.send(HTTPClientRequest(.get, base + prefix + "/test/page.js"))
                #expect(script.status == 200 && script.header("Content-Type") == "text/javascript; charset=utf-8")
                let run = try await client.send(HTTPClientRequest(.post, base + prefix + "/test/run"))
                #expect(run.status == 200)
            }
        }
    }

    @Test("the page's own files are all there")
    func complete() throws {
        let page = try #require(TestCallFile.all.first { $0.name.isEmpty })
        let names = Set(TestCallFile.all.map(\.name))
        for file in TestCallFile.all {
            let text = String(decoding: file.body, as: UTF8.self)
            for match in text.matches(of: /from "\.\/([a-z]+\.js)"/) { #expect(names.contains(String(match.1))) }
        }
        let text = String(decoding: page.body, as: UTF8.self)
        let used = text.matches(of: /"test\/([a-z.]+)"/).map { String($0.1) }
        #expect(used.sorted() == ["page.js", "style.css"])
        // Nothing inline, or the policy stops it.
        #expect(text.firstRange(of: /<script>|style=|onclick=/) == nil)
    }

    @Test("a link keeps its token in the fragment")
    func linkText() {
        #expect(
            TestLinkCommand.link(to: "https://call.example.org/livekit", token: "a.b.c")
                == "https://call.example.org/livekit/test#a.b.c")
    }
}
