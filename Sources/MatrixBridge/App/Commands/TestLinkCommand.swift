// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import FocusSFU
import Foundation

/// `callbridge test-link`
struct TestLinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test-link",
        abstract: "Print a link to the test call: a page that says whether calls work from where it is opened.",
        discussion: """
            Whoever has the link can make test calls with it for 15 minutes, each in a private room of its own, and can \
            join no other room. The page tries microphone, camera, the focus and every TURN server, and says in plain \
            words what works.

            The link begins as matrix.websocket_url does, or with --url. Browsers give the microphone to https:// \
            and to this machine (http://127.0.0.1) only.

            Examples:
              callbridge test-link --config callbridge.yaml
              callbridge test-link --config callbridge.yaml --url https://call.example.org
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(help: ArgumentHelp("Public URL of the focus, with its path if it has one.", valueName: "url"))
    var url: String?

    func run() throws {
        let configuration = try options.load()
        let keys: APIKeySet
        do throws(APIKeyFault) {
            keys = try configuration.keys.keySet()
        } catch {
            throw Termination(
                .configuration, cause: "an API key is unusable: \(error)", source: "keys",
                fix: "write a pair made by `callbridge keys new`")
        }
        guard let tokens = TestCallTokens(keys: keys) else {
            throw Termination(
                .configuration, cause: "there is no API key to sign with", source: "keys",
                fix: "add the pair that `callbridge keys new` prints")
        }
        print(try Self.link(to: base(configuration), token: tokens.link(now: Int64(Date().timeIntervalSince1970))))
        StandardError.write("valid for \(TestCallTokens.linkLifetimeSeconds / 60) minutes")
    }

    /// In the fragment, which browsers keep to themselves: no proxy logs the token.
    static func link(to base: String, token: String) -> String { "\(base)/test#\(token)" }

    private func base(_ configuration: BridgeConfiguration) throws(Termination) -> String {
        if let url {
            guard let base = ConfigurationReader.url(url, schemes: ["https", "http"]) else {
                throw Termination(
                    .usage, cause: "the URL of the focus must start with https:// or http://", source: "--url",
                    fix: "--url https://call.example.org")
            }
            return base
        }
        // Where signalling goes, because the page speaks it below its own address.
        let socket = configuration.matrix?.websocketURL ?? "ws://127.0.0.1:\(configuration.server.port)"
        return "http" + socket.dropFirst("ws".count)
    }
}
