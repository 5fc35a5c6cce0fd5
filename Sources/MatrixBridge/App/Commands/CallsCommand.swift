// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import ArgumentParser
import CallEvents
import Foundation

/// `callbridge calls`
struct CallsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calls",
        abstract: "Print the running calls and who takes part.",
        discussion: """
            Reads the database of serve, which may run meanwhile; nothing is written. Calls that expired while serve \
            was down are left out.

            Examples:
              callbridge calls --config callbridge.yaml
              callbridge calls --data /var/lib/callbridge --json
            """)

    @OptionGroup var files: ConfigurationFileOptions

    @Option(help: ArgumentHelp("Directory of the database (data).", valueName: "dir"))
    var data: String?

    @Flag(name: .customLong("json"), help: "Print JSON.")
    var isJSON = false

    func run() throws {
        let listing = CallListing(try calls(in: directory), at: ServiceClock.system.unixMilliseconds())
        print(isJSON ? listing.json : listing.table)
    }

    /// The option, else what the configuration says, else its default.
    private var directory: String {
        let key = ServerConfiguration.dataDirectoryKey
        return data ?? ConfigurationReading(of: files.sources).statedText(of: key.path) ?? key.defaultText
    }

    private func calls(in directory: String) throws(Termination) -> [RosterCall] {
        let path = Database.path(in: directory)
        guard FileManager.default.fileExists(atPath: path) else {
            throw Termination(
                .database, cause: "there is no database", source: path,
                fix: "name the directory that serve uses, with --data or --config")
        }
        do {
            let connection = try SQLiteConnection(readingPath: path)
            let found = try Schema.version(of: connection)
            guard found == Schema.version else {
                throw SchemaError.otherThanThisVersion(found: found, expected: Schema.version)
            }
            var roster = try RosterTable.load(from: connection)
            _ = roster.expire(at: ServiceClock.system.unixMilliseconds())
            return roster.calls
        } catch {
            throw Termination(
                .database, cause: "the database cannot be read: \(error)", source: path,
                fix: "run this as the user of serve, with the same version")
        }
    }
}
