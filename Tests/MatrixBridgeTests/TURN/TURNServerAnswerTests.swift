// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import NIOHTTP1
import TURNCreds
import Testing

@testable import MatrixBridge

@Suite("Answer to voip/turnServer")
struct TURNServerAnswerTests {
    private let homeserver = FakeHomeserver()
    private let clock = ManualClock()

    private func answer(_ turn: String = Self.realmServers, secret: String? = "north") throws -> TURNServerAnswer {
        let configuration = try #require(Sample.reading(turn).configuration)
        let secrets = CurrentSecrets()
        secrets["r"] = secret.flatMap { TURNSecret($0) }
        return TURNServerAnswer(
            providers: try TURNProviders(configuration.turn, secrets: secrets), transport: homeserver,
            homeserverURL: FakeHomeserver.localBaseURL, clock: clock.clock)
    }

    private static let realmServers = """
        turn: {realms: [{realm: r, store: "sqlite:/x"}]}
        rtc:
          turn_servers:
            - {host: t, protocol: tls, port: 5349, realm: r, ttl: 1h}
            - {host: t, protocol: udp, realm: r, ttl: 1h}
        """

    private func request(_ token: String?) -> HTTPRequest {
        HTTPRequest(
            method: .GET, target: "/_matrix/client/v3/voip/turnServer",
            headers: token.map { ["Authorization": "Bearer \($0)"] } ?? [:])
    }

    private func homeserverSays(_ status: Int, _ body: String) async {
        await homeserver.answer("whoami", with: .success(HTTPClientResponse(status: status, body: Array(body.utf8))))
    }

    @Test("a device gets its own name, the password for it, the URIs and how long they are good")
    func device() async throws {
        await homeserverSays(200, #"{"user_id": "@a:example.com", "device_id": "D"}"#)
        let response = try await answer().answer(request("token"))
        #expect(response.status == .ok && response.headers.first(name: "Cache-Control") == "no-store")
        let user = try TURNCredential.pseudonym(user: "@a:example.com", device: "D")
        let username = "\(clock.now / 1_000 + 3_600):\(user)"
        let password = try TURNCredential.password(for: username, secret: try #require(TURNSecret("north")))
        let text = String(decoding: response.body, as: UTF8.self)
        #expect(text.contains(#""username":"\#(username)""#) && text.contains(#""password":"\#(password)""#))
        #expect(text.contains(#""ttl":3600"#))
        #expect(text.contains(#"["turn:t:3478?transport=udp","turns:t:5349?transport=tcp"]"#))
    }

    @Test("without a server, or without a secret yet, there is an empty object")
    func nothing() async throws {
        await homeserverSays(200, #"{"user_id": "@a:example.com"}"#)
        #expect(try await answer("port: 7880").answer(request("token")).body == Array("{}".utf8))
        #expect(try await answer(secret: nil).answer(request("token")).body == Array("{}".utf8))
    }

    @Test("a token that the homeserver does not know, none, and a homeserver that is away")
    func refused() async throws {
        let answer = try answer()
        #expect(await answer.answer(request(nil)).status == .unauthorized)
        await homeserverSays(401, #"{"errcode": "M_UNKNOWN_TOKEN", "error": "no"}"#)
        let unknown = await answer.answer(request("token"))
        #expect(unknown.status == .unauthorized)
        #expect(String(decoding: unknown.body, as: UTF8.self).contains("M_UNKNOWN_TOKEN"))
        await homeserverSays(500, "")
        #expect(await answer.answer(request("token")).status == .badGateway)
        #expect(answer.refusals.all == [.missingToken: 1, .unknownToken: 1, .homeserverUnreachable: 1])
    }

    @Test("one token asks ten times at once and no more")
    func rate() async throws {
        let answer = try answer()
        await homeserverSays(200, #"{"user_id": "@a:example.com"}"#)
        for _ in 0..<10 { #expect(await answer.answer(request("token")).status == .ok) }
        let limited = await answer.answer(request("token"))
        #expect(limited.status == .tooManyRequests && limited.headers.first(name: "Retry-After") != nil)
        #expect(await answer.answer(request("other")).status == .ok)
    }
}
