// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The power levels of the Matrix room that give rights in its call.
enum LevelConfiguration {
    static let joinKey = key("join", default: "call", "to get a token")
    static let publishKey = key("publish", default: "call", "to send sound and pictures; followed in running calls")
    static let subscribeKey = key("subscribe", default: "any", "to receive; followed in running calls")
    static let dataKey = key("data", default: "call", "to send data messages; followed in running calls")
    static let administerKey = key("admin", default: "never", "to administer the call by the server API")

    static let keys = [joinKey, publishKey, subscribeKey, dataKey, administerKey]

    /// By the names of the keys.
    static var fields: [String: WritableKeyPath<GrantThresholds, GrantThresholds.Threshold>] {
        ["join": \.join, "publish": \.publish, "subscribe": \.subscribe, "data": \.data, "admin": \.administer]
    }

    private static func key(_ name: String, default text: String, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(
            "matrix.levels.\(name)", .text, default: text,
            "power level \(comment): a number, any, never, or call (who may announce itself in a call)")
    }

    static func thresholds(_ values: inout ConfigurationReader) -> GrantThresholds {
        var thresholds = GrantThresholds()
        for key in keys {
            guard let text = values.text(key), let field = fields[key.name] else { continue }
            if let threshold = GrantThresholds.Threshold(text) {
                thresholds[keyPath: field] = threshold
            } else {
                values.fail(key, "\(key.path) must be a whole number, any, call or never", correction: key.defaultText)
            }
        }
        return thresholds
    }
}
