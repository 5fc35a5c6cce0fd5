// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge`: the root of the commands.
struct CallbridgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "callbridge",
        abstract: "Calls for Matrix homeservers: application service, focus and token service in one process.",
        discussion: """
            Getting started:
              callbridge keys new --output keys
              callbridge generate-registration --config callbridge.yaml
              callbridge check-config --config callbridge.yaml
              callbridge serve --config callbridge.yaml

            Without a homeserver, for development: callbridge serve --dev

            Exit codes:
            \(ExitStatus.table)
            The last line before an exit with a code other than 0 is `error: cause — source — fix`.
            """,
        version: CallbridgeVersion.text,
        subcommands: [
            ServeCommand.self, GenerateRegistrationCommand.self, CheckConfigCommand.self, ConfigCommand.self,
            DiscoveryCommand.self, PortsCommand.self, TestLinkCommand.self, DoctorCommand.self, CallsCommand.self,
            TokenCommand.self, KeysCommand.self, TURNCommand.self, LoadTestCommand.self, VersionCommand.self,
        ]
    )
}

/// The version of this program.
enum CallbridgeVersion {
    static let number = "0.1.0"
    static let text = "callbridge \(number)"
}

/// `callbridge version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.", discussion: "Example: callbridge version")

    @Flag(help: "Print the number alone.")
    var short = false

    func run() {
        print(short ? CallbridgeVersion.number : CallbridgeVersion.text)
    }
}
