// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import Testing

@testable import MatrixBridge

@Suite("The commands")
struct CallbridgeCommandTests {
    @Test(
        "every command parses as documented",
        arguments: [
            ["serve", "--dev"],
            [
                "serve", "--config", "f", "--bind", "127.0.0.1", "--port", "7880", "--rtc-port", "7882", "--data", "d",
                "--keys", "a: b", "--env-file", "e", "--node-ip", "192.0.2.1", "--log-level", "debug",
            ],
            ["generate-registration", "--server-name", "a", "--url", "http://a", "--delegated", "d", "--force"],
            ["check-config", "-c", "f"], ["config", "print"], ["discovery", "--livekit-service-url", "https://a"],
            ["discovery", "--check", "--config", "f"], ["calls", "--config", "f", "--json"], ["calls", "--data", "d"],
            [
                "token", "create", "--room", "r", "--identity", "i", "--valid-for", "24h", "--no-can-publish",
                "--metadata", "m", "--admin", "--key", "k",
            ],
            ["keys", "new"], ["version"], ["ports", "--config", "f"], ["test-link", "--dev", "--url", "https://a"],
            ["turn", "status", "--json"], ["turn", "rotate", "--realm", "r", "--revoke"], ["turn", "test"],
            ["doctor", "turn", "--config", "f"],
        ])
    func parses(arguments: [String]) throws {
        _ = try CallbridgeCommand.parseAsRoot(arguments)
    }

    @Test(
        "wrong use is refused",
        arguments: [
            ["serve", "--prot", "1"], ["token", "create", "--room", "r"],
            ["token", "create", "--room", "r", "--identity", "i", "--valid-for", "x"],
            ["keys", "new", "--name", "a b"],
        ])
    func refused(arguments: [String]) {
        #expect(throws: (any Error).self) { _ = try CallbridgeCommand.parseAsRoot(arguments) }
    }

    @Test("options become the strongest source")
    func flags() throws {
        let command = try #require(
            try CallbridgeCommand.parseAsRoot(["serve", "--port", "1", "--rtc-port", "2"]) as? ServeCommand)
        #expect(
            command.options.sources.flags == [
                .init("--port", sets: "port", to: "1"), .init("--rtc-port", sets: "rtc.udp_port", to: "2"),
            ])
    }

    @Test("every command says what it is, and those that run show an example")
    func help() {
        func walk(_ command: any ParsableCommand.Type) {
            #expect(!command.configuration.abstract.isEmpty)
            if command.configuration.subcommands.isEmpty {
                #expect(command.configuration.discussion.contains("Example"), "\(command)")
            }
            for subcommand in command.configuration.subcommands { walk(subcommand) }
        }
        walk(CallbridgeCommand.self)
    }
}
