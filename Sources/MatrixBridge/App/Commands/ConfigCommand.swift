// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge check-config`
struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Check the configuration and report every fault at once.",
        discussion: """
            Reads the same sources as serve. Ends with code 0 when the configuration can be used, with 10 when not.

            Example: callbridge check-config --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let reading = ConfigurationReading(of: options.sources)
        StandardError.write(reading.findings.report)
        if let termination = Termination(findings: reading.findings) { throw termination }
        let warnings = reading.findings.count { $0.severity == .warning }
        let notes = reading.findings.count { $0.severity == .note }
        print("the configuration can be used: \(warnings) warnings, \(notes) notes")
    }
}

/// `callbridge config`
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show the configuration.", subcommands: [ConfigPrintCommand.self])
}

/// `callbridge config print`
struct ConfigPrintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print",
        abstract: "Print every effective value, where it comes from and what it means.",
        discussion: """
            Secrets are masked: the first two characters and a fingerprint.

            Example: callbridge config print --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let reading = ConfigurationReading(of: options.sources)
        print(ConfigurationListing(of: reading.effective).text, terminator: "")
        StandardError.write(reading.findings.report)
        if let termination = Termination(findings: reading.findings) { throw termination }
    }
}
