// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import CallEvents

/// `callbridge discovery`
struct DiscoveryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discovery",
        abstract: "Print what the homeserver and the well-known file must say for clients to find the focus.",
        discussion: """
            Uses matrix.livekit_service_url and matrix.websocket_url of the configuration, or the options.

            With --check both places are asked as a client would, and every finding is printed with its remedy. Ends \
            with code 1 when clients cannot find the focus, 12 when the homeserver does not answer, 13 when it refuses \
            the token.

            Examples:
              callbridge discovery --config callbridge.yaml
              callbridge discovery --check --config callbridge.yaml
              callbridge discovery --livekit-service-url https://call.example.org
            """)

    @OptionGroup var files: ConfigurationFileOptions
    @OptionGroup var urls: PublicURLOptions

    @Flag(name: .customLong("check"), help: "Ask the homeserver and its well-known file, and judge the answers.")
    var isCheck = false

    func run() async throws {
        let reading = ConfigurationReading(of: files.sources)
        guard !isCheck else { return try await check(reading) }
        let delegated = reading.statedText(of: MatrixConfiguration.delegatedKey.path)
        let registrations = [reading.statedText(of: MatrixConfiguration.registrationKey.path), delegated].compactMap(
            \.self)
        let addresses = try urls.resolved(with: reading)
        let setup = HomeserverSetup(
            registrationFiles: registrations, livekitServiceURL: addresses.service, websocketURL: addresses.websocket,
            hasDelegatedRegistration: delegated != nil)
        print(setup.text)
    }

    private func check(_ reading: ConfigurationReading) async throws {
        StandardError.write(reading.findings.report)
        if let termination = Termination(findings: reading.findings) { throw termination }
        guard let settings = reading.configuration?.matrix, let server = ServerName(settings.serverName),
            let bot = UserID("@\(settings.botLocalpart):\(settings.serverName)")
        else {
            throw Termination(
                .configuration, cause: "no homeserver is configured", source: "matrix",
                fix: "name the configuration of the bridge: --config callbridge.yaml")
        }
        let addresses = try urls.resolved(with: reading)
        var http = HTTPClient.Configuration()
        http.verifiesCertificates = !settings.acceptsAnyTLSCertificate
        let transport = HTTPClient(configuration: http)
        let client = MatrixClient(
            transport: transport, baseURL: settings.homeserverURL, asToken: settings.applicationServiceToken.exposed)
        try await Self.ask(client, settings: settings, bot: bot)
        let findings = await DiscoveryCheck(
            client: client, transport: transport, server: server, bot: bot,
            setup: DiscoverySetup(serviceURL: addresses.service, focusURL: addresses.websocket)
        ).run()
        print(findings.map(\.description).joined(separator: "\n"))
        if let termination = Self.termination(for: findings) { throw termination }
    }

    /// Makes sure of the homeserver first: without it every finding would be about that.
    private static func ask(
        _ client: MatrixClient, settings: MatrixConfiguration, bot: UserID
    ) async throws(Termination) {
        do throws(MatrixClientError) {
            _ = try await client.whoami()
        } catch {
            throw HomeserverLink.termination(for: error, appServiceID: settings.registrationID, bot: bot)
                ?? Termination(
                    .homeserverUnreachable, cause: "the homeserver gives no usable answer (\(error))",
                    source: "matrix.homeserver_url \(settings.homeserverURL)",
                    fix: "start the homeserver, or correct the URL")
        }
    }

    static func termination(for findings: [DiscoveryCheck.Finding]) -> Termination? {
        let faults = findings.filter { $0.severity == .fail }
        guard let first = faults.first else { return nil }
        let others = faults.count > 1 ? " (and \(faults.count - 1) more, listed above)" : ""
        return Termination(.failure, cause: first.text + others, source: "discovery", fix: first.remedy)
    }
}

/// The URLs that clients use.
struct PublicURLOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Public URL of the token service.", valueName: "url"))
    var livekitServiceURL: String?

    @Option(help: ArgumentHelp("Public URL of the signalling (the other one with wss).", valueName: "url"))
    var websocketURL: String?

    static let serviceOption = "--livekit-service-url"

    /// The option, else the configuration.
    ///
    /// - Throws: ``Termination`` when neither names the token service.
    func resolved(with reading: ConfigurationReading) throws(Termination) -> (service: String, websocket: String) {
        let stated = livekitServiceURL ?? reading.statedText(of: MatrixConfiguration.serviceURLKey.path)
        guard let stated else {
            throw Termination(
                .usage, cause: "the public URL of the token service is not known", source: "command line",
                fix:
                    "\(Self.serviceOption) https://call.example.org, or matrix.livekit_service_url in the configuration"
            )
        }
        guard let service = ConfigurationReader.url(stated, schemes: ["https", "http"]) else {
            throw Termination(
                .usage, cause: "the URL of the token service must start with https:// or http://",
                source: livekitServiceURL == nil ? MatrixConfiguration.serviceURLKey.path : Self.serviceOption,
                fix: "\(Self.serviceOption) https://call.example.org")
        }
        let socket = websocketURL ?? reading.statedText(of: MatrixConfiguration.websocketURLKey.path)
        guard let socket else { return (service, MatrixConfiguration.websocketURL(for: service)) }
        guard let websocket = ConfigurationReader.url(socket, schemes: ["wss", "ws"]) else {
            throw Termination(
                .usage, cause: "the URL of the signalling must start with wss:// or ws://",
                source: websocketURL == nil ? MatrixConfiguration.websocketURLKey.path : "--websocket-url",
                fix: "--websocket-url \(MatrixConfiguration.websocketURL(for: service))")
        }
        return (service, websocket)
    }
}
