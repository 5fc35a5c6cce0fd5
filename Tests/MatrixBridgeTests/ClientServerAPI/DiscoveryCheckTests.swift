// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("Discovery check")
struct DiscoveryCheckTests {
    static let setup = DiscoverySetup(
        serviceURL: "https://rtc.example.com/livekit/jwt/", focusURL: "wss://rtc.example.com")
    static let ours: JSONValue = .object([
        "type": .string("livekit"), "livekit_service_url": .string("https://rtc.example.com/livekit/jwt"),
    ])
    static let theirs: JSONValue = .object([
        "type": .string("livekit"), "livekit_service_url": .string("https://old.example.com"),
    ])

    static func file(
        _ foci: [JSONValue]? = [ours], origins: [String] = ["*"], type: String = "application/json", status: Int = 200,
    ) -> DiscoveryCheck.WellKnown {
        let body = JSONValue.object(foci.map { ["org.matrix.msc4143.rtc_foci": .array($0)] } ?? [:])
        var headers = origins.map { HTTPClientField("access-control-allow-origin", $0) }
        headers.append(HTTPClientField("content-type", type))
        return .answer(HTTPClientResponse(status: status, headers: headers, body: body.compactJSON))
    }

    static func severities(
        _ endpoint: DiscoveryCheck.Endpoint, _ file: DiscoveryCheck.WellKnown,
    ) -> [DiscoveryCheck.Finding.Severity] {
        let findings = DiscoveryCheck.findings(
            endpoint: endpoint, wellKnown: file, server: FakeHomeserver.local, setup: setup)
        for finding in findings { #expect((finding.severity == .ok) == finding.remedy.isEmpty, "\(finding)") }
        return findings.map(\.severity)
    }

    @Test("both right")
    func right() {
        #expect(Self.severities(.transports([Self.ours]), Self.file()) == [.ok, .ok])
        #expect(Self.severities(.absent, Self.file()) == [.ok, .ok])
    }

    @Test("an endpoint that is on and empty fails even when the file is right")
    func emptyEndpoint() {
        #expect(Self.severities(.transports([]), Self.file()) == [.fail, .ok])
    }

    @Test("another focus, another one first, none of the type")
    func others() {
        #expect(Self.severities(.transports([Self.theirs]), Self.file([Self.theirs])) == [.fail, .fail])
        #expect(Self.severities(.transports([Self.theirs, Self.ours]), Self.file()) == [.warn, .ok])
        #expect(Self.severities(.transports([.object(["type": .string("x")]), .null]), Self.file()) == [.fail, .ok])
    }

    @Test("the file as a browser sees it")
    func browser() {
        #expect(Self.severities(.absent, Self.file(origins: [])) == [.warn, .fail, .ok])
        #expect(Self.severities(.absent, Self.file(origins: ["*", "*"])) == [.warn, .fail, .ok])
        #expect(Self.severities(.absent, Self.file(origins: ["https://x.test"])) == [.warn, .fail, .ok])
        #expect(Self.severities(.absent, Self.file(type: "text/html")) == [.warn, .warn, .ok])
        #expect(Self.severities(.absent, Self.file(nil)) == [.warn, .fail])
        #expect(Self.severities(.absent, Self.file(status: 404)) == [.warn, .fail])
        #expect(Self.severities(.failed("x"), .failed("y")) == [.warn, .fail])
    }

    @Test("asks both places with the bot's name")
    func asking() async {
        let web = FakeHomeserver()
        await web.answer("/rtc/transports", with: .success(.json(.object(["rtc_transports": .array([Self.ours])]))))
        let check = DiscoveryCheck(
            client: MatrixClient(transport: web, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken),
            transport: web, server: FakeHomeserver.local, bot: FakeHomeserver.bot, setup: Self.setup)
        #expect(await check.run().map(\.severity) == [.ok, .fail])
        #expect(await web.requests.first?.url.hasSuffix("?user_id=%40callbot%3Aexample.com") == true)
    }

    @Test("what is printed is what is checked")
    func setupIsRight() {
        guard case .array(let foci)? = Self.setup.wellKnownMember["org.matrix.msc4143.rtc_foci"] else {
            Issue.record("no list")
            return
        }
        #expect(Self.severities(.transports(foci), Self.file(foci)) == [.ok, .ok])
        #expect(Self.setup.homeserverYAML.contains("livekit_service_url: https://rtc.example.com/livekit/jwt\n"))
    }
}
