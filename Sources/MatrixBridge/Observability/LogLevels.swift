// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import Logging
import NIOConcurrencyHelpers

/// From which severity on each component is logged; changes count at once and last until the process ends.
package final class LogLevels: Sendable {
    /// Parts of the program that write lines; the name is the one to say, the value the one in the lines.
    package enum Component: String, CaseIterable, Sendable {
        case matrix = "MatrixBridge"
        case focus = "FocusSFU"

        package var name: String { "\(self)" }

        package init?(name: String) {
            guard let component = Self.allCases.first(where: { $0.name == name.lowercased() }) else { return nil }
            self = component
        }
    }

    private struct Levels {
        var configured: Logger.Level
        var bySource: [String: Logger.Level] = [:]
        /// The least of all: what is below it is not even formatted.
        var least: Logger.Level
    }

    private let levels: NIOLockedValueBox<Levels>

    package init(_ configured: Logger.Level) {
        levels = NIOLockedValueBox(Levels(configured: configured, least: configured))
    }

    package var least: Logger.Level { levels.withLockedValue { $0.least } }

    package func level(of component: Component) -> Logger.Level {
        levels.withLockedValue { $0.bySource[component.rawValue] ?? $0.configured }
    }

    package func set(_ level: Logger.Level, of component: Component) {
        levels.withLockedValue { levels in
            levels.bySource[component.rawValue] = level
            levels.least = levels.bySource.values.reduce(levels.configured, min)
        }
    }

    func allows(_ level: Logger.Level, from source: String) -> Bool {
        levels.withLockedValue { level >= $0.bySource[source] ?? $0.configured }
    }
}

/// Lets through what the levels of the line's component allow, with texts that are safe to write.
struct LeveledLogHandler: LogHandler {
    private var handler: any LogHandler
    private let levels: LogLevels

    init(_ handler: any LogHandler, levels: LogLevels) {
        self.handler = handler
        self.handler.logLevel = .trace
        self.levels = levels
    }

    var logLevel: Logger.Level {
        get { levels.least }
        set {}
    }

    var metadata: Logger.Metadata {
        get { handler.metadata }
        set { handler.metadata = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { handler[metadataKey: key] }
        set { handler[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        guard levels.allows(event.level, from: event.source) else { return }
        var event = event
        event.message = "\(LogText.printable(event.message.description))"
        event.metadata = event.metadata?.mapValues(\.printable)
        handler.log(event: event)
    }
}

extension LogLevels {
    /// One level for all, as configured.
    convenience init(_ configuration: LoggingConfiguration) {
        self.init(Logger.Level(rawValue: configuration.level.rawValue) ?? .info)
    }
}
