// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is logged and how.
package struct LoggingConfiguration: Equatable, Sendable {
    /// The names are those of `Logger.Level`.
    package enum Level: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical
    }

    package var level: Level
    /// One JSON object a line instead of text.
    package var writesJSON: Bool

    static let levelKey = ConfigurationKey(
        "logging.level", .choice(Level.allCases.map(\.rawValue) + ["warn"]), default: "info",
        "least severity that is logged")
    static let jsonKey = ConfigurationKey("logging.json", .boolean, default: "false", "one JSON object a line")

    static let keys = [levelKey, jsonKey]

    init(reading values: inout ConfigurationReader) {
        let name = values.choice(Self.levelKey)
        self.level = name == "warn" ? .warning : Level(rawValue: name) ?? .info
        self.writesJSON = values.boolean(Self.jsonKey)
    }
}
