// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// The one-to-one calls that the bot answers with an echo.
enum OneToOneConfiguration {
    static let callsKey = ConfigurationKey(
        "matrix.one_to_one_calls", .integer(0...1000), default: String(LegacyCallLimits().maximumCalls),
        "one-to-one calls that the bot answers at a time, with an echo; 0: none")
    static let minutesKey = ConfigurationKey(
        "matrix.one_to_one_minutes", .integer(1...1440),
        default: String(LegacyCallLimits().maximumDuration / 60_000), "how long such a call may last, minutes")

    static let keys = [callsKey, minutesKey]

    static func limits(_ values: inout ConfigurationReader) -> LegacyCallLimits {
        var limits = LegacyCallLimits()
        limits.maximumCalls = values.integer(callsKey)
        limits.maximumDuration = Milliseconds(values.integer(minutesKey)) * 60_000
        return limits
    }
}
