// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who counts as speaking.
package struct AudioConfiguration: Equatable, Sendable {
    /// The quietest level that counts, in -dBov: 0 is the loudest, 127 silence.
    package var activeLevel: Int
    /// Percent of the interval that must be at least that loud.
    package var minPercentile: Int
    /// How often speakers are computed.
    package var updateInterval: Duration
    /// Over how many intervals the level is smoothed.
    package var smoothIntervals: Int

    static let activeLevelKey = ConfigurationKey(
        "audio.active_level", .integer(0...127), default: "35", "quietest level that counts as speech, -dBov")
    static let minPercentileKey = ConfigurationKey(
        "audio.min_percentile", .integer(0...100), default: "40", "percent of an interval that must be as loud")
    static let updateIntervalKey = ConfigurationKey(
        "audio.update_interval", .integer(50...60_000), default: "400", "how often speakers are computed, milliseconds")
    static let smoothIntervalsKey = ConfigurationKey(
        "audio.smooth_intervals", .integer(0...100), default: "2", "intervals over which the level is smoothed")

    static let keys = [activeLevelKey, minPercentileKey, updateIntervalKey, smoothIntervalsKey]

    init(reading values: inout ConfigurationReader) {
        self.activeLevel = values.integer(Self.activeLevelKey)
        self.minPercentile = values.integer(Self.minPercentileKey)
        self.updateInterval = .milliseconds(values.integer(Self.updateIntervalKey))
        self.smoothIntervals = values.integer(Self.smoothIntervalsKey)
    }
}
