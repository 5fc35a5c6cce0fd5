// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge ports`
struct PortsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ports",
        abstract: "Print the ports of the configuration: what each is for, what may stay closed, and firewall rules.",
        discussion: """
            The rules are printed and not applied. They are for the firewall of this machine; a provider's firewall and \
            a router in front need the same ports.

            Examples:
              callbridge ports --config callbridge.yaml
              callbridge ports --dev
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        print(PortPlan(try options.load()).text)
    }
}
