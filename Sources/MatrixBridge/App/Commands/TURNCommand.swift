// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import CallEvents

/// `callbridge turn`
struct TURNCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "turn", abstract: "TURN servers: state of the secrets, rotation, tests.",
        subcommands: [TURNStatusCommand.self, TURNRotateCommand.self, TURNTestCommand.self])
}

/// `callbridge turn status`
struct TURNStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Print the secrets of every realm, by id and age, and test every TURN server.",
        discussion: """
            The id of a secret is the beginning of its SHA-256; the secret itself is never shown. Run it as the user of \
            serve, which may run meanwhile. Ends with code 1 when a store or a server does not work.

            Example: callbridge turn status --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isJSON = false

    func run() async throws {
        let status = try await TURNCommand.administration(options).status()
        print(isJSON ? String(decoding: TURNText.json(status).compactJSON, as: UTF8.self) : TURNText.status(status))
        for report in status.realms {
            if case .failure(let error) = report.stored {
                throw Termination(
                    .failure, cause: "the secret store cannot be used (\(error))", source: "realm \(report.realm.name)",
                    fix: error.fix)
            }
        }
        if let termination = Termination(failedTests: status.servers) { throw termination }
    }
}

/// `callbridge turn rotate`
struct TURNRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace the TURN secret of a realm, or of every realm, without interrupting anybody.",
        discussion: """
            A new secret is added to coturn's store, tested at every server and used at once; serve removes the one \
            before when the last credential made with it has expired. With --revoke it goes after some seconds: \
            credentials that are out end with it, relays that are open do not. Killed half-way, it is completed by serve \
            or by the next rotate. Run it as the user of serve.

            Examples:
              callbridge turn rotate --config callbridge.yaml
              callbridge turn rotate --realm turn.example.org --revoke --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(help: ArgumentHelp("The realm; every realm without it.", valueName: "realm"))
    var realm: String?

    @Flag(help: "Somebody knows the secret: remove it within seconds.")
    var revoke = false

    @Flag(help: "Begin nothing: give up the secret that is being added and does not get into use.")
    var abandon = false

    func validate() throws {
        if revoke, abandon { throw ValidationError("--revoke and --abandon exclude each other") }
    }

    func run() async throws {
        let administration = try TURNCommand.administration(options)
        do throws(SecretRotator.Failure) {
            guard !abandon else {
                try await administration.abandonRotation(realm: realm)
                print("no secret is being added")
                return
            }
            for result in try await administration.rotate(realm: realm, revokes: revoke) {
                print("realm \(result.realm): secret \(result.id) is in use")
            }
        } catch {
            throw Termination(
                error == .unknownRealm ? .usage : .failure, cause: error.cause,
                source: realm.map { "realm \($0)" } ?? "turn.realms", fix: error.fix)
        }
    }
}

/// `callbridge turn test`
struct TURNTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Allocate at every TURN server and relay a few bytes.",
        discussion: """
            Every URI of rtc.turn_servers is used from this machine as a client would: allocate, permission, channel, \
            data both ways, delete. Ends with code 1 when one does not work.

            Example: callbridge turn test --config callbridge.yaml
            """)

    @OptionGroup var options: ConfigurationOptions

    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isJSON = false

    func run() async throws {
        let results = try await TURNCommand.administration(options).test()
        print(
            isJSON
                ? String(decoding: JSONValue.array(results.map(TURNText.json)).compactJSON, as: UTF8.self)
                : results.map(TURNText.test).joined(separator: "\n"))
        guard !results.isEmpty else { throw TURNCommand.nothingConfigured }
        if let termination = Termination(failedTests: results) { throw termination }
    }
}

extension TURNCommand {
    static func administration(_ options: ConfigurationOptions) throws -> TURNAdministration {
        let configuration = try options.load()
        return try TURNServices(configuration, log: LogSetup.makeLogger(configuration.logging)).administration
    }

    static let nothingConfigured = Termination(
        .configuration, cause: "there is no TURN server", source: "rtc.turn_servers",
        fix: "name one: rtc: {turn_servers: [{host: turn.example.org, port: 3478, protocol: udp, realm: …}]}")
}

extension Termination {
    /// Nil when all is well.
    fileprivate init?(failedTests results: [TURNProbeResult]) {
        let failed = results.filter { $0.success == nil || $0.success?.relaying == .lost }
        guard let first = failed.first else { return nil }
        self.init(
            .failure, cause: "\(failed.count) of \(results.count) TURN servers do not relay", source: first.uri,
            fix: "docs/turn.md; the cause of each is above")
    }
}
