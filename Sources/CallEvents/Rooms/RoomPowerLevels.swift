// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The `m.room.power_levels` of a room: who has which level, and what needs which.
///
/// The homeserver has checked the event by the rules of the room's version. What is not understood here counts as
/// absent, so that one odd entry does not take a room's levels away. Levels are integers; rooms before version 10 may
/// write them as strings.
package struct RoomPowerLevels: Equatable, Sendable {
    static let eventType = "m.room.power_levels"
    /// An event has at most 64 KiB, so this bounds only what comes from elsewhere.
    static let maximumEntryCount = 4_096

    package let users: [UserID: Int64]
    package let usersDefault: Int64
    package let events: [String: Int64]
    package let eventsDefault: Int64
    package let stateDefault: Int64
    package let ban: Int64
    package let kick: Int64
    package let redact: Int64

    /// - Parameter content: The content of the event; an empty one gives the specification's defaults.
    package init(_ content: JSONObject) {
        var users: [UserID: Int64] = [:]
        for (name, value) in (content["users"]?.object ?? [:]).prefix(Self.maximumEntryCount) {
            guard let user = UserID(name), let level = Self.level(value) else { continue }
            users[user] = level
        }
        self.users = users
        self.usersDefault = Self.level(content["users_default"]) ?? 0
        self.events = (content["events"]?.object ?? [:]).prefix(Self.maximumEntryCount)
            .reduce(into: [:]) { $0[$1.key] = Self.level($1.value) }
        self.eventsDefault = Self.level(content["events_default"]) ?? 0
        self.stateDefault = Self.level(content["state_default"]) ?? 50
        self.ban = Self.level(content["ban"]) ?? 50
        self.kick = Self.level(content["kick"]) ?? 50
        self.redact = Self.level(content["redact"]) ?? 50
    }

    private static func level(_ value: JSONValue?) -> Int64? {
        let level = value?.integer ?? value?.string.flatMap { Int64($0.trimmingSpaces) }
        return level.map { min(max($0, -EventTime.maximum), EventTime.maximum) }
    }
}

extension String {
    /// Room versions before 10 allow spaces around a level written as text.
    fileprivate var trimmingSpaces: Substring {
        var text = self[...]
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
