// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import Foundation

/// The entry of the program: runs a command and makes sure that the last line says why it ended.
@main
enum CallbridgeProcess {
    static func main() async {
        do {
            var command = try CallbridgeCommand.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        if let termination = error as? Termination {
            StandardError.write(termination.description)
            exit(termination.status.rawValue)
        }
        let code = CallbridgeCommand.exitCode(for: error)
        if code == .success || error is ExitCode {
            CallbridgeCommand.exit(withError: error)
        }
        let isUsage = code == .validationFailure
        let arguments = Array(CommandLine.arguments.dropFirst())
        let cause = maskingKeys(of: arguments, in: CallbridgeCommand.message(for: error))
        if isUsage {
            StandardError.write(maskingKeys(of: arguments, in: CallbridgeCommand.fullMessage(for: error)))
        }
        let termination = Termination(
            isUsage ? .usage : .failure, cause: cause, source: isUsage ? "command line" : "callbridge",
            fix: "see `callbridge --help`")
        StandardError.write(termination.description)
        exit(termination.status.rawValue)
    }

    /// Without its quotes, `--keys name: secret` is two arguments, and the message would quote the second.
    static func maskingKeys(of arguments: [String], in message: String) -> String {
        var message = message
        for (index, argument) in arguments.enumerated() where argument == "--keys" || argument.hasPrefix("--keys=") {
            let words = arguments[(index + 1)...].prefix { !$0.hasPrefix("-") }
            for word in words where !word.isEmpty { message = message.replacing("'\(word)'", with: "'…'") }
        }
        return message
    }
}

/// Findings and faults go to standard error, so that what a command prints can be piped.
enum StandardError {
    static func write(_ text: String) {
        guard !text.isEmpty else { return }
        FileHandle.standardError.write(Data((text.hasSuffix("\n") ? text : text + "\n").utf8))
    }
}
