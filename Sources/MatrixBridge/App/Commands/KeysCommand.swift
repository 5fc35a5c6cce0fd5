// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser

/// `callbridge keys`
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "API keys of the focus.", subcommands: [KeysNewCommand.self])
}

/// `callbridge keys new`
struct KeysNewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new",
        abstract: "Make an API key with a secret of 256 bits.",
        discussion: """
            Prints one line, `name: secret`, that fits below `keys:`, into a key file and into LIVEKIT_KEYS.

            Examples:
              callbridge keys new
              callbridge keys new --name APIcalls --output /etc/callbridge/keys
            """)

    @Option(help: ArgumentHelp("Name of the key; made up when absent.", valueName: "name"))
    var name: String?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("Write a key file (mode 0600) instead of printing.", valueName: "file"))
    var output: String?

    @Flag(help: "Replace the file when it is there.")
    var force = false

    func validate() throws {
        let isName = name?.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) } ?? true
        guard isName, name?.isEmpty != true else {
            throw ValidationError("--name may hold letters, digits and _ - . only")
        }
    }

    func run() throws {
        var generator = SystemRandomNumberGenerator()
        var key = APIKeyPair.random(using: &generator)
        key.name = name ?? key.name
        let line = "\(key.name): \(key.secret.exposed)"
        guard let output else {
            print(line)
            return
        }
        do {
            try ConfigurationFile.writePrivate(line + "\n", to: output, replacing: force)
        } catch {
            throw Termination(
                .configuration, cause: error.problem, source: output,
                fix: error == .exists ? "add --force to replace it" : "choose another --output")
        }
        print("\(output): key \(key.name), secret \(key.secret)")
        print("next: key_file: \(output)")
    }
}
