// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Registrations of the application service")
struct RegistrationTests {
    static func pushed() -> Registration {
        var generator = CountingGenerator()
        return .pushed(
            url: "http://127.0.0.1:7880", serverName: "example.org", botLocalpart: "callbot", using: &generator)
    }

    static func delegated() -> Registration {
        var generator = CountingGenerator()
        return .delegated(proxyURL: "http://127.0.0.1:7880", serverName: "example.org:8448", using: &generator)
    }

    @Test("what is written is read back", arguments: [pushed(), delegated()])
    func roundTrip(registration: Registration) throws {
        #expect(try Registration(reading: registration.yaml) == registration)
    }

    @Test("the pushed one owns the bot and the ghosts of an escaped server name")
    func pushedText() {
        let registration = Self.pushed()
        let text = registration.yaml
        #expect(text.contains("regex: '^@callbot:example\\.org$'\n"))
        #expect(text.contains("regex: '^@_call_.*:example\\.org$'\n"))
        #expect(text.contains("rate_limited: false\n"))
        #expect(text.contains("receive_ephemeral: true\norg.matrix.msc3202: true\nio.element.msc4190: true\n"))
        #expect(registration.asToken != registration.hsToken && registration.asToken.byteCount == 43)
    }

    @Test("the delegated one is never pushed to")
    func delegatedText() {
        let text = Self.delegated().yaml
        #expect(text.contains("id: callbridge-rtc\nurl: null\n"))
        #expect(text.contains("exclusive: false\n      regex: '^@.*:example\\.org:8448$'\n"))
        #expect(
            text.contains("io.element.msc4502.scopes: [\"urn:matrix:client:io.element.msc4502:rooms:is_joined\"]\n"))
        #expect(text.contains("io.element.msc4512.proxy_prefix: rtc/livekit\n"))
        #expect(!text.contains("receive_ephemeral"))
    }

    @Test("every character with a meaning in expressions is escaped")
    func escaping() {
        #expect(Registration.escaped("a.b[::1]:8448$") == "a\\.b\\[::1\\]:8448\\$")
    }

    @Test(
        "server names",
        arguments: [
            ("example.org", true), ("example.org:8448", true), ("127.0.0.1:80", true), ("[::1]:8448", true),
            ("[::1]", true),
            ("", false), ("https://example.org", false), ("a b", false), ("example.org:", false), ("[::1", false),
            ("[x]", false),
            ("@a:example.org", false), ("ex_ample", false),
        ])
    func serverNames(name: String, isValid: Bool) {
        #expect(Registration.isServerName(name) == isValid)
    }

    @Test(
        "what is no registration says why",
        arguments: [
            ("", Registration.Fault.Reason.missing("id")), ("id: a\n", .missing("as_token")),
            ("id: [a]\n", .wrongType("id", wanted: "a text")),
            ("id: a\nas_token: x\nhs_token: x\nsender_localpart: s\n", .sameTokens),
            ("id: a|b\nas_token: x\nhs_token: y\nsender_localpart: s\n", .idHoldsBar),
            ("id: a\nas_token: x\nhs_token: y\nsender_localpart: s\nio.element.msc4512.proxy_url: u\n", .halfProxy),
            (
                "id: a\nas_token: x\nhs_token: y\nsender_localpart: s\nnamespaces: {users: [x]}\n",
                .wrongType("namespaces.users", wanted: "a list of {exclusive, regex}")
            ),
        ])
    func refused(text: String, reason: Registration.Fault.Reason) {
        do throws(Registration.Fault) {
            _ = try Registration(reading: text)
            Issue.record("accepted")
        } catch {
            #expect(error.reason == reason)
        }
    }

    @Test("a file cut anywhere is read or refused, never trapped")
    func truncated() {
        let text = Self.pushed().yaml
        for length in 0..<text.count { _ = try? Registration(reading: String(text.prefix(length))) }
    }

    @Test("files are written for their owner and never replaced unasked")
    func files() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/registration.yaml"
        try ConfigurationFile.writePrivate("one", to: path, replacing: false)
        #expect(throws: ConfigurationFile.Fault.exists) {
            try ConfigurationFile.writePrivate("two", to: path, replacing: false)
        }
        #expect(try ConfigurationFile.read(path) == ("one", 0o600))
        try ConfigurationFile.writePrivate("three", to: path, replacing: true)
        #expect(try ConfigurationFile.read(path) == ("three", 0o600))
    }
}
