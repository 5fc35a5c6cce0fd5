// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import Glibc

/// `callbridge generate-registration`
struct GenerateRegistrationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate-registration",
        abstract: "Write the registration that the homeserver loads, with fresh tokens.",
        discussion: """
            What the options leave out is taken from the configuration. The files get mode 0600 and tokens of 256 bits; \
            a file that is there is kept unless --force. Afterwards the lines for the homeserver are printed.

            The registration of --delegated may act as any local user: membership checks and the token proxy need it. \
            It is optional; guard it like a private key.

            Examples:
              callbridge generate-registration --config callbridge.yaml
              callbridge generate-registration --server-name example.org \\
                --livekit-service-url https://call.example.org \\
                --output registration.yaml --delegated delegated.yaml
            """)

    @OptionGroup var sources: ConfigurationFileOptions
    @OptionGroup var urls: PublicURLOptions

    @Option(help: ArgumentHelp("Domain part of local user ids.", valueName: "name"))
    var serverName: String?

    @Option(help: ArgumentHelp("URL at which the homeserver reaches Callbridge.", valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("Localpart of the bot (callbot).", valueName: "name"))
    var botLocalpart: String?

    @Option(name: [.short, .long], help: ArgumentHelp("File to write (registration.yaml).", valueName: "file"))
    var output: String?

    @Option(help: ArgumentHelp("Also write a registration with delegated rights.", valueName: "file"))
    var delegated: String?

    @Flag(help: "Replace files that are there; the homeserver must be restarted with the new ones.")
    var force = false

    func run() throws {
        let reading = ConfigurationReading(of: sources.sources)
        let name = try resolvedServerName(reading)
        let bot = try resolvedBot(reading)
        let url = try resolvedURL(reading)
        let addresses = try urls.resolved(with: reading)
        let output = output ?? reading.statedText(of: MatrixConfiguration.registrationKey.path) ?? "registration.yaml"
        let delegated = delegated ?? reading.statedText(of: MatrixConfiguration.delegatedKey.path)
        var generator = SystemRandomNumberGenerator()
        let pushed = Registration.pushed(url: url, serverName: name, botLocalpart: bot, using: &generator)
        var files = [(path: output, registration: pushed)]
        if let delegated {
            let lent = Registration.delegated(proxyURL: url, serverName: name, using: &generator)
            files.append((delegated, lent))
        }
        try write(files)
        let setup = HomeserverSetup(
            registrationFiles: files.map { Self.absolute($0.path) }, livekitServiceURL: addresses.service,
            websocketURL: addresses.websocket, hasDelegatedRegistration: delegated != nil)
        print(setup.text)
        print(Self.nextSteps(output: output, delegated: delegated, serverName: name))
    }

    private func write(_ files: [(path: String, registration: Registration)]) throws(Termination) {
        // All or none: nothing is written when one of the files would be refused.
        for file in files where !force && access(file.path, F_OK) == 0 { throw Self.termination(.exists, file.path) }
        for file in files {
            do {
                try ConfigurationFile.writePrivate(file.registration.yaml, to: file.path, replacing: force)
            } catch {
                throw Self.termination(error, file.path)
            }
            let registration = file.registration
            StandardError.write(
                "\(file.path): registration \(registration.id), as_token \(registration.asToken), hs_token \(registration.hsToken)"
            )
        }
    }

    private static func termination(_ fault: ConfigurationFile.Fault, _ path: String) -> Termination {
        Termination(
            .registration, cause: fault.problem, source: path,
            fix: fault == .exists ? "add --force to replace it, or choose another --output" : "choose another --output")
    }

    private func resolvedServerName(_ reading: ConfigurationReading) throws(Termination) -> String {
        let key = MatrixConfiguration.serverNameKey
        guard let name = serverName ?? reading.statedText(of: key.path) else {
            throw Termination(
                .usage, cause: "the server name is not known", source: "command line",
                fix: "--server-name example.org, or \(key.path) in the configuration")
        }
        guard Registration.isServerName(name) else {
            throw Termination(
                .usage, cause: "a server name is a domain, such as the part of a user id after the colon",
                source: serverName == nil ? key.path : "--server-name", fix: "--server-name example.org")
        }
        return name
    }

    private func resolvedBot(_ reading: ConfigurationReading) throws(Termination) -> String {
        let key = MatrixConfiguration.botKey
        let name = botLocalpart ?? reading.statedText(of: key.path) ?? key.defaultText
        guard Registration.isLocalpart(name) else {
            throw Termination(
                .usage, cause: "the bot's localpart may hold a-z, 0-9 and . _ = - / + only",
                source: botLocalpart == nil ? key.path : "--bot-localpart", fix: "--bot-localpart \(key.defaultText)")
        }
        return name
    }

    private func resolvedURL(_ reading: ConfigurationReading) throws(Termination) -> String {
        let key = MatrixConfiguration.applicationServiceURLKey
        let port = reading.statedText(of: ServerConfiguration.portKey.path) ?? ServerConfiguration.portKey.defaultText
        let stated = url ?? reading.statedText(of: key.path) ?? "http://127.0.0.1:\(port)"
        guard let url = ConfigurationReader.url(stated, schemes: ["http", "https"]) else {
            throw Termination(
                .usage, cause: "the URL of the application service must start with http:// or https://",
                source: self.url == nil ? key.path : "--url", fix: "--url http://127.0.0.1:\(port)")
        }
        return url
    }

    private static func absolute(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func nextSteps(output: String, delegated: String?, serverName: String) -> String {
        var steps = [
            "let the homeserver's user read \(([output] + [delegated].compactMap(\.self)).joined(separator: " and ")), and nobody else",
            "add the lines above to homeserver.yaml and the key to https://\(serverName)/.well-known/matrix/client",
            "restart the homeserver",
            "in the configuration: matrix.registration: \(output)"
                + (delegated.map { ", matrix.delegated_registration: \($0)" } ?? ""),
            "callbridge check-config, then callbridge serve",
        ]
        steps = steps.enumerated().map { "#   \($0.offset + 1). \($0.element)" }
        return (["", "# Next steps:"] + steps).joined(separator: "\n")
    }
}
