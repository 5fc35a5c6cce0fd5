// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge doctor turn`
struct DoctorTURNCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "turn",
        abstract: "Test every TURN server, and that none relays where nobody may.",
        discussion: """
            Besides what `callbridge turn test` does, every server is asked to relay to loopback, private, shared and \
            link-local addresses, IPv4 and IPv6, and to relay TCP. A server that agrees lets whoever takes part in a \
            call reach what listens there: that is a failure, code 1.

            Example: callbridge doctor turn --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let administration = try TURNCommand.administration(options)
        guard !administration.targets.isEmpty else { throw TURNCommand.nothingConfigured }
        let tests = await administration.test()
        let findings = await administration.forbiddenRelays()
        print((tests.map(TURNText.test) + findings.map(TURNText.finding)).joined(separator: "\n"))
        let allowed = findings.filter { $0.outcome == .allowed }
        if let first = allowed.first {
            throw Termination(
                .failure, cause: "\(allowed.count) forbidden relays are allowed, among them \(first.target)",
                source: first.uri, fix: "take the denied-peer-ip and no-tcp-relay lines of deploy/turnserver.conf")
        }
        let unknown = findings.contains { if case .unknown = $0.outcome { true } else { false } }
        guard !unknown, tests.allSatisfy({ $0.success != nil }) else {
            throw Termination(
                .failure, cause: "not every TURN server could be tested", source: "rtc.turn_servers",
                fix: "docs/turn.md; the cause of each is above")
        }
    }
}
