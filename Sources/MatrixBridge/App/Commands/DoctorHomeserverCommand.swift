// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import CallEvents

/// `callbridge doctor homeserver`
struct DoctorHomeserverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "homeserver",
        abstract: "Look at the homeserver as Callbridge and its clients do.",
        discussion: """
            Asks the homeserver, the token service at its public address and, with --room, one room. Every line begins \
            with ok, warn or fail; a line that is not ok is followed by its fix. Callbridge should be running. Ends \
            with code 1 when something fails.

            Examples:
              callbridge doctor homeserver --config callbridge.yaml
              callbridge doctor homeserver --room '!abc:example.org' --config callbridge.yaml
            """)

    @OptionGroup var files: ConfigurationFileOptions

    @Option(help: "The id of a room in which calls do not work.")
    var room: String?

    func run() async throws {
        let reading = ConfigurationReading(of: files.sources)
        StandardError.write(reading.findings.report)
        if let termination = Termination(findings: reading.findings) { throw termination }
        guard let settings = reading.configuration?.matrix, let server = ServerName(settings.serverName),
            let bot = UserID("@\(settings.botLocalpart):\(settings.serverName)")
        else {
            throw Termination(
                .configuration, cause: "no homeserver is configured", source: "matrix",
                fix: "name the configuration of the bridge: --config callbridge.yaml")
        }
        var http = HTTPClient.Configuration()
        http.verifiesCertificates = !settings.acceptsAnyTLSCertificate
        let clock = ServiceClock.system
        let doctor = HomeserverDoctor(
            settings: settings, server: server, bot: bot, transport: HTTPClient(configuration: http),
            unixSeconds: { clock.unixMilliseconds() / 1_000 })
        let findings = await doctor.run(room: room)
        for finding in findings { print(finding.report) }
        let failures = findings.count { $0.severity == .fail }
        guard failures == 0 else {
            throw Termination(
                .failure, cause: "\(failures) of \(findings.count) checks failed", source: "doctor homeserver",
                fix: "do what the lines after `fix:` say, and look again")
        }
    }
}
