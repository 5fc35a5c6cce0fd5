// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import Foundation

/// The files of the configuration: for commands that start nothing.
struct ConfigurationFileOptions: ParsableArguments {
    @Option(
        name: [.short, .customLong("config")],
        help: ArgumentHelp("Configuration file (YAML); a livekit.yaml is understood.", valueName: "file"))
    var configurationFile: String?

    @Option(help: ArgumentHelp("File of NAME=value lines; variables of the process win over it.", valueName: "file"))
    var envFile: String?

    /// The files and the process's environment.
    var sources: ConfigurationSources {
        ConfigurationSources(
            file: configurationFile, environmentFile: envFile, environment: ProcessInfo.processInfo.environment)
    }
}

/// The options of every command that reads the configuration.
///
/// Numbers are kept as text, so that a wrong one is reported together with all other faults of the configuration.
struct ConfigurationOptions: ParsableArguments {
    @OptionGroup var files: ConfigurationFileOptions

    @Flag(name: .customLong("dev"), help: "Stand-alone focus with the pair devkey / secret on loopback, no homeserver.")
    var isDevelopment = false

    @Option(help: ArgumentHelp("Address to listen on, or several with commas.", valueName: "addr"))
    var bind: String?

    @Option(help: ArgumentHelp("HTTP port (7880).", valueName: "port"))
    var port: String?

    @Option(help: ArgumentHelp("UDP port of the first media worker (7882).", valueName: "port"))
    var rtcPort: String?

    @Option(help: ArgumentHelp("Directory of the database (data).", valueName: "dir"))
    var data: String?

    @Option(help: ArgumentHelp("API keys: \"key: secret\", several with commas.", valueName: "keys"))
    var keys: String?

    @Option(
        name: .customLong("node-ip"), help: ArgumentHelp("Address told to clients, or IPv4,IPv6.", valueName: "addr"))
    var nodeIP: String?

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?

    /// The sources that the options and the process name.
    var sources: ConfigurationSources {
        let flags: [(String, String, String?)] = [
            ("--bind", "bind_addresses", bind), ("--port", "port", port), ("--rtc-port", "rtc.udp_port", rtcPort),
            ("--data", "data_directory", data), ("--keys", "keys", keys), ("--node-ip", "rtc.node_ip", nodeIP),
            ("--log-level", "logging.level", logLevel),
        ]
        var sources = files.sources
        sources.flags = flags.compactMap { name, path, text in
            text.map { ConfigurationSources.Flag(name, sets: path, to: $0) }
        }
        sources.isDevelopment = isDevelopment
        return sources
    }

    /// Reads the configuration and shows the findings.
    ///
    /// - Throws: ``Termination`` with ``ExitStatus/configuration`` when there are faults.
    func load() throws -> BridgeConfiguration {
        let reading = ConfigurationReading(of: sources)
        StandardError.write(reading.findings.report)
        if let termination = Termination(findings: reading.findings) { throw termination }
        guard let configuration = reading.configuration else {
            throw Termination(
                .configuration, cause: "the configuration cannot be used", source: "all sources", fix: "see above")
        }
        return configuration
    }
}
