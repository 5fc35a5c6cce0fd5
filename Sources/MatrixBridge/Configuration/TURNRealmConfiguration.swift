// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A realm of TURN servers whose secrets are ours to replace: they look them up in a store that we may write.
package struct TURNRealmConfiguration: Equatable, Sendable {
    /// The `realm` of turnserver.conf.
    package var name: String
    package var store: SecretStoreLocation
    /// Time between scheduled rotations; nil for none.
    package var rotationInterval: Duration?
    /// How much longer than its longest credential a replaced secret stays.
    package var overlap: Duration

    static let defaultOverlap = Duration.seconds(300)
    /// Below this, the processes that share the state could still use a secret that is gone.
    static let minimumOverlap = Duration.seconds(5)

    static let key = ConfigurationKey(
        "turn.realms", .tree, default: "[]",
        example: "[{realm: turn.example.org, store: \"sqlite:/var/lib/turn/turndb\", rotate_every: 30d}]",
        "realms whose TURN secrets are replaced by us: realm, store (sqlite:, postgresql: or redis: URL of coturn's userdb) "
            + "or store_file, rotate_every (30d; 0 for never), overlap (5m)")

    private static let fields: Set<String> = ["realm", "store", "store_file", "rotate_every", "overlap"]

    static func realms(reading values: inout ConfigurationReader) -> [TURNRealmConfiguration] {
        var realms: [TURNRealmConfiguration] = []
        if let value = values.value(key) {
            if case .sequence(let items) = value.node.content {
                for item in items {
                    guard let realm = realm(item, of: value, &values) else { continue }
                    if realms.contains(where: { $0.name == realm.name }) {
                        values.fail(key, "turn.realms: \(realm.name) is there twice", at: value.origin(of: item))
                    } else {
                        realms.append(realm)
                    }
                }
            } else if value.node.content != .null {
                values.fail(key, "turn.realms must be a list, not \(value.node.kindName)")
            }
        }
        values.record(key, "[" + realms.map(\.flowText).joined(separator: ", ") + "]")
        return realms
    }

    private static func realm(
        _ node: ConfigurationNode, of value: ConfigurationValues.Value, _ values: inout ConfigurationReader
    ) -> TURNRealmConfiguration? {
        func refuse(_ problem: String, _ part: ConfigurationNode) -> TURNRealmConfiguration? {
            values.fail(key, "turn.realms: \(problem)", at: value.origin(of: part))
            return nil
        }
        guard case .mapping(let entries) = node.content else {
            return refuse("an entry is \(node.kindName), not a map", node)
        }
        for entry in entries where !fields.contains(entry.key) {
            return refuse(
                "unknown key \(ConfigurationValues.presentable(entry.key))",
                ConfigurationNode(.null, at: entry.place))
        }
        guard let name = node["realm"]?.scalar, isRealm(name) else {
            return refuse("an entry has no realm, or one that is not 1 to 127 letters, digits and . _ -", node)
        }
        var text = node["store"]?.scalar
        if text == nil, let part = node["store_file"], let path = part.scalar {
            do {
                text = String(try ConfigurationFile.read(path).text.prefix { !$0.isNewline })
            } catch {
                return refuse("store_file \(path): \(error.problem)", part)
            }
        }
        guard let text, let store = SecretStoreLocation(text) else {
            return refuse(
                "the store of \(name) must be sqlite:/path, postgresql://… or redis://…; the secret of a "
                    + "static-auth-secret belongs to rtc.turn_servers, and cannot be replaced while coturn runs",
                node["store"] ?? node)
        }
        var interval: Duration? = .seconds(30 * 86_400)
        if let part = node["rotate_every"] {
            guard let time = part.scalar.flatMap({ ConfigurationReader.duration($0, bareSeconds: true) }) else {
                return refuse("rotate_every of \(name) must be a time such as 30d", part)
            }
            interval = time == .zero ? nil : time
        }
        var overlap = defaultOverlap
        if let part = node["overlap"] {
            guard let time = part.scalar.flatMap({ ConfigurationReader.duration($0, bareSeconds: true) }),
                time >= minimumOverlap
            else { return refuse("overlap of \(name) must be a time of 5s or more", part) }
            overlap = time
        }
        return TURNRealmConfiguration(name: name, store: store, rotationInterval: interval, overlap: overlap)
    }

    /// coturn writes realms into SQL and Redis keys as they are.
    static func isRealm(_ text: String) -> Bool {
        (1...127).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
    }

    private var flowText: String {
        FlowText.map([
            ("realm", FlowText.scalar(name)), ("store", FlowText.quoted(store.description)),
            ("rotate_every", rotationInterval.map(FlowText.duration) ?? "0"), ("overlap", FlowText.duration(overlap)),
        ])
    }
}
