// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How much one user, device and other homeserver may have at a time and ask for.
enum AccessLimitConfiguration {
    private typealias Field = WritableKeyPath<AccessLimits, Int>

    private static var fields: [(ConfigurationKey, Field)] {
        [
            field("calls_per_device", \.callsPerDevice, "calls that one device is in at a time"),
            field("calls_per_user", \.callsPerUser, "calls that one user is in at a time"),
            field("devices_per_user", \.participantsPerUser, "devices that one user has in calls at a time"),
            field(
                "calls_per_homeserver", \.callsPerHomeserver,
                "calls at a time in which users of one other homeserver are"),
            field(
                "devices_per_homeserver", \.participantsPerHomeserver,
                "devices in calls at a time, of all users of one other homeserver"),
            field("tokens_per_device", \.tokensPerDevice, "token requests of one device in a minute, a third at once"),
            field("tokens_per_user", \.tokensPerUser, "token requests of one user in a minute, a third at once"),
            field("tokens_per_room", \.tokensPerRoom, "token requests for one room in a minute, a third at once"),
            field(
                "tokens_per_homeserver", \.tokensPerHomeserver,
                "token requests of all users of one other homeserver in a minute, a tenth at once"),
        ]
    }

    static let keys = fields.map(\.0)

    private static func field(_ name: String, _ field: Field, _ comment: String) -> (ConfigurationKey, Field) {
        let key = ConfigurationKey(
            "matrix.limits.\(name)", .integer(0...1_000_000), default: String(AccessLimits()[keyPath: field]),
            comment + "; 0: no limit")
        return (key, field)
    }

    static func limits(_ values: inout ConfigurationReader) -> AccessLimits {
        var limits = AccessLimits()
        for (key, field) in fields { limits[keyPath: field] = values.integer(key) }
        return limits
    }
}
