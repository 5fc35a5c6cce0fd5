// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Logging

/// The process's logger: lines for people on standard error, or one JSON object a line for machines.
enum LogSetup {
    static func makeLogger(_ configuration: LoggingConfiguration, levels: LogLevels? = nil) -> Logger {
        let levels = levels ?? LogLevels(configuration)
        let writesJSON = configuration.writesJSON
        return Logger(label: "callbridge") { label in
            LeveledLogHandler(
                writesJSON ? JSONLogHandler(label: label) : StreamLogHandler.standardError(label: label),
                levels: levels)
        }
    }
}

/// `{"time": …, "level": …, "message": …, …metadata}` on one line.
private struct JSONLogHandler: LogHandler {
    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    init(label: String) {
        self.label = label
    }

    func log(event: LogEvent) {
        var fields: [String: String] = [:]
        for (key, value) in metadata { fields[key] = value.description }
        for (key, value) in event.metadata ?? [:] { fields[key] = value.description }
        fields["time"] = Date().formatted(.iso8601)
        fields["level"] = event.level.rawValue
        fields["component"] = label
        fields["message"] = event.message.description
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard var line = try? encoder.encode(fields) else { return }
        line.append(UInt8(ascii: "\n"))
        FileHandle.standardError.write(line)
    }
}
