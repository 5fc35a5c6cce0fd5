// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("TURN realms of the configuration")
struct TURNRealmConfigurationTests {
    private func reading(_ realms: String, servers: String = "[]") -> ConfigurationReading {
        Sample.reading("turn: {realms: \(realms)}\nrtc: {turn_servers: \(servers)}\n")
    }

    @Test("a realm with its store and times; a password is never printed")
    func complete() throws {
        let reading = reading(
            #"[{realm: turn.example.org, store: "redis://:hidden-word@h/1", rotate_every: 7d, overlap: 1m}]"#,
            servers: "[{host: t, realm: turn.example.org, ttl: 2h}]")
        let turn = try #require(reading.configuration).turn
        #expect(turn.realms.map(\.name) == ["turn.example.org"])
        #expect(turn.realms.first?.rotationInterval == .seconds(604_800))
        #expect(turn.realms.first?.overlap == .seconds(60))
        #expect(turn.servers.first?.credential == .realm("turn.example.org", lifetime: .seconds(7_200)))
        #expect(!ConfigurationListing(of: reading.effective).text.contains("hidden-word"))
    }

    @Test("rotation every 30 days without a word, and never with 0")
    func schedule() throws {
        for (text, expected) in [("", Duration.seconds(2_592_000)), (", rotate_every: 0", nil)] {
            let turn = try #require(reading("[{realm: r, store: \"sqlite:/x\"\(text)}]").configuration).turn
            #expect(turn.realms.first?.rotationInterval == expected)
        }
    }

    @Test(
        "faults",
        arguments: [
            "{}", "[text]", "[{store: \"sqlite:/x\"}]", "[{realm: \"a'b\", store: \"sqlite:/x\"}]",
            "[{realm: r, store: \"/etc/turnserver.conf\"}]", "[{realm: r}]",
            "[{realm: r, store: \"sqlite:/x\", rotate_every: often}]",
            "[{realm: r, store: \"sqlite:/x\", overlap: 1s}]",
            "[{realm: r, store: \"sqlite:/x\", secret: word}]",
            "[{realm: r, store: \"sqlite:/x\"}, {realm: r, store: \"sqlite:/y\"}]",
        ])
    func faults(realms: String) {
        #expect(reading(realms).configuration == nil)
    }

    @Test("a server of a realm that is not there is a fault")
    func unknownRealm() {
        let reading = reading("[]", servers: "[{host: t, realm: r}]")
        #expect(reading.configuration == nil)
        #expect(reading.findings.report.contains("realm r of t is not in turn.realms"))
    }

    @Test("a pair that never expires is a warning")
    func staticPair() {
        let reading = reading("[]", servers: "[{host: t, username: u, credential: p}]")
        #expect(reading.configuration != nil)
        #expect(reading.findings.contains { $0.severity == .warning && $0.problem.contains("never expire") })
    }
}
