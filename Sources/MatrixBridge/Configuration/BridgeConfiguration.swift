// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The whole configuration, checked: every value is within its range and the sections agree with each other.
package struct BridgeConfiguration: Equatable, Sendable {
    package var server: ServerConfiguration
    package var rtc: RTCConfiguration
    package var turn: TURNConfiguration
    package var keys: APIKeyConfiguration
    package var room: RoomConfiguration
    package var audio: AudioConfiguration
    package var limit: LimitConfiguration
    package var logging: LoggingConfiguration
    /// Nil for a stand-alone focus.
    package var matrix: MatrixConfiguration?
    /// `--dev`.
    package var isDevelopment: Bool
}

/// What reading the sources gave.
package struct ConfigurationReading: Sendable {
    /// Nil when there is at least one fault.
    package var configuration: BridgeConfiguration?
    /// Notes, warnings and faults: by source, then by place.
    package var findings: [ConfigurationFinding]
    /// Every key that has an effect, and those set that have none.
    package var effective: [EffectiveValue]
    private let values: ConfigurationValues

    package init(of sources: ConfigurationSources) {
        self.values = ConfigurationValues(collecting: sources)
        var reader = ConfigurationReader(values, isDevelopment: sources.isDevelopment)
        let configuration = BridgeConfiguration(
            server: ServerConfiguration(reading: &reader),
            rtc: RTCConfiguration(reading: &reader),
            turn: TURNConfiguration(reading: &reader),
            keys: APIKeyConfiguration(reading: &reader),
            room: RoomConfiguration(reading: &reader),
            audio: AudioConfiguration(reading: &reader),
            limit: LimitConfiguration(reading: &reader),
            logging: LoggingConfiguration(reading: &reader),
            matrix: MatrixConfiguration(reading: &reader),
            isDevelopment: sources.isDevelopment)
        Self.noteAccepted(&reader)
        self.findings = reader.findings.enumerated().sorted { left, right in
            let (leftOrder, rightOrder) = (Self.order(left.element.origin), Self.order(right.element.origin))
            return leftOrder == rightOrder ? left.offset < right.offset : leftOrder < rightOrder
        }.map(\.element)
        self.effective = reader.effective
        self.configuration = findings.contains { $0.severity == .fault } ? nil : configuration
    }

    /// What the sources say for a key, unchecked: for commands that help to complete an unfinished configuration.
    package func statedText(of path: String) -> String? {
        values.byPath[path]?.node.scalar.flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func noteAccepted(_ reader: inout ConfigurationReader) {
        for key in LiveKitOnlyKeys.keys where reader.isSet(key) {
            guard case .accepted(let reason) = key.use else { continue }
            reader.report(
                ConfigurationFinding(.note, at: reader.origin(of: key), "\(key.path) has no effect: \(reason)"))
            reader.record(key, "…")
        }
    }

    private struct Order: Comparable {
        var source: Int
        var name: String
        var place: TextPlace

        static func < (left: Self, right: Self) -> Bool {
            if left.source != right.source { return left.source < right.source }
            return left.name != right.name ? left.name < right.name : left.place < right.place
        }
    }

    private static func order(_ origin: ConfigurationOrigin) -> Order {
        switch origin {
        case .text(let name, let place): Order(source: 0, name: name, place: place)
        case .environmentFile(let path, let line, _):
            Order(source: 1, name: path, place: TextPlace(line: line, column: 1))
        case .environment(let name): Order(source: 2, name: name, place: .start)
        case .flag(let name): Order(source: 3, name: name, place: .start)
        case .builtIn, .development, .allSources: Order(source: 4, name: "", place: .start)
        }
    }
}
