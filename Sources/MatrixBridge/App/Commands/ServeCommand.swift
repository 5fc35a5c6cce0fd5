// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge serve`
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the focus and, with a homeserver configured, the bridge.",
        discussion: """
            The configuration is one YAML file, overridden by the environment, overridden by options. Each key has the \
            variables CALLBRIDGE_<PATH> and LIVEKIT_<PATH>: CALLBRIDGE_RTC_UDP_PORT sets rtc.udp_port. LIVEKIT_CONFIG \
            may hold a whole YAML text.

            Examples:
              callbridge serve --dev
              callbridge serve --config /etc/callbridge/callbridge.yaml
              callbridge serve --keys "APIname: secret-of-at-least-32-characters" --node-ip 203.0.113.7
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        try await BridgeApplication.serve(try options.load())
    }
}
