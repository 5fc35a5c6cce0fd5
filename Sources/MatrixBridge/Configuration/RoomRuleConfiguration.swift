// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What is different about calls in some rooms.
enum RoomRuleConfiguration {
    static let key = ConfigurationKey(
        "matrix.rooms", .tree, default: "[]",
        example: "[{room: \"#hall:example.org\", levels: {publish: 50}, max_participants: 200}]",
        "rules for rooms, the first that fits counts: room (an id, an alias, or ids with *), calls (false for none), "
            + "users (who may take part, with *), levels (as matrix.levels), max_participants (devices; 0: no limit)")

    private static let fields: Set<String> = ["room", "calls", "users", "levels", "max_participants"]

    /// - Parameter thresholds: Those of all rooms, for what a rule does not say.
    static func rules(_ values: inout ConfigurationReader, thresholds: GrantThresholds) -> [RoomRule] {
        var rules: [RoomRule] = []
        if let value = values.value(key) {
            if case .sequence(let items) = value.node.content {
                for item in items {
                    if let rule = rule(item, of: value, thresholds, &values) { rules.append(rule) }
                }
            } else if value.node.content != .null {
                values.fail(key, "matrix.rooms must be a list, not \(value.node.kindName)")
            }
        }
        values.record(key, "[" + rules.map { text(of: $0, unlike: thresholds) }.joined(separator: ", ") + "]")
        return rules
    }

    private static func rule(
        _ node: ConfigurationNode, of value: ConfigurationValues.Value, _ thresholds: GrantThresholds,
        _ values: inout ConfigurationReader
    ) -> RoomRule? {
        func refuse(_ problem: String, _ part: ConfigurationNode) -> RoomRule? {
            values.fail(key, "matrix.rooms: \(problem)", at: value.origin(of: part))
            return nil
        }
        guard case .mapping(let entries) = node.content else {
            return refuse("an entry is \(node.kindName), not a map", node)
        }
        for entry in entries where !fields.contains(entry.key) {
            return refuse(
                "unknown key \(ConfigurationValues.presentable(entry.key))", ConfigurationNode(.null, at: entry.place))
        }
        guard let name = node["room"]?.scalar, let place = RoomRule.Place(name) else {
            return refuse(
                "an entry has no room, or one that is no room id (!…), no alias (#name:server) and no pattern of ids "
                    + "with *", node["room"] ?? node)
        }
        var rule = RoomRule(place, thresholds: thresholds)
        if let part = node["calls"] {
            guard let allows = part.scalar.flatMap(ConfigurationReader.boolean) else {
                return refuse("calls of \(name) must be true or false", part)
            }
            rule.allowsCalls = allows
        }
        if let part = node["users"] {
            guard case .sequence(let items) = part.content, !items.isEmpty,
                case let texts = items.compactMap(\.scalar), texts.count == items.count,
                texts.allSatisfy({ $0 == "*" || $0.first == "@" })
            else {
                return refuse("users of \(name) must be a list of user ids, in which * stands for anything", part)
            }
            rule.users = texts.map { NamePattern($0) }
        }
        if let part = node["max_participants"] {
            guard let count = part.scalar.flatMap({ ConfigurationReader.integer($0, in: 0...1_000_000) }) else {
                return refuse("max_participants of \(name) must be a whole number", part)
            }
            rule.maximumParticipants = count
        }
        guard let part = node["levels"] else { return rule }
        guard case .mapping(let levels) = part.content else {
            return refuse("levels of \(name) must be a map", part)
        }
        for level in levels {
            guard let field = LevelConfiguration.fields[level.key],
                let threshold = level.value.scalar.flatMap(GrantThresholds.Threshold.init)
            else {
                return refuse(
                    "levels of \(name) may hold join, publish, subscribe, data and admin, each a whole number, any, "
                        + "call or never", level.value)
            }
            rule.thresholds[keyPath: field] = threshold
        }
        return rule
    }

    private static func text(of rule: RoomRule, unlike thresholds: GrantThresholds) -> String {
        var parts = [("room", FlowText.quoted(rule.place.description))]
        if !rule.allowsCalls { parts.append(("calls", "false")) }
        if let users = rule.users {
            parts.append(("users", "[" + users.map { FlowText.quoted($0.text) }.joined(separator: ", ") + "]"))
        }
        let levels = LevelConfiguration.fields.sorted { $0.key < $1.key }
            .filter { rule.thresholds[keyPath: $0.value] != thresholds[keyPath: $0.value] }
            .map { ($0.key, FlowText.quoted(rule.thresholds[keyPath: $0.value].description)) }
        if !levels.isEmpty { parts.append(("levels", FlowText.map(levels))) }
        if let maximum = rule.maximumParticipants { parts.append(("max_participants", String(maximum))) }
        return FlowText.map(parts)
    }
}
