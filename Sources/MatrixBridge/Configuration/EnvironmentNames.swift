// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The environment variables that set keys.
///
/// Each key has two generated names, `LIVEKIT_` and `CALLBRIDGE_` followed by its path in capitals with underscores for
/// dots; a few keys also have the short names that LiveKit gave them. When several are set, the first of this order
/// wins: `CALLBRIDGE_…`, `LIVEKIT_…`, the short name.
package enum EnvironmentNames {
    package static let prefixes = ["CALLBRIDGE_", "LIVEKIT_"]

    /// Variables whose text is a whole configuration file.
    package static let wholeText = ["LIVEKIT_CONFIG", "CALLBRIDGE_CONFIG"]

    /// LiveKit's short names.
    static let short: [(name: String, path: String)] = [
        ("NODE_IP", "rtc.node_ip"),
        ("UDP_PORT", "rtc.udp_port"),
        ("LIVEKIT_TURN_CERT", "turn.cert_file"),
        ("LIVEKIT_TURN_KEY", "turn.key_file"),
        ("REDIS_HOST", "redis"),
        ("REDIS_PASSWORD", "redis"),
    ]

    /// Variables that LiveKit's clients and tools read; a server leaves them alone.
    static let clientNames: Set<String> = ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "LIVEKIT_TOKEN"]

    /// `RTC_UDP_PORT` for `rtc.udp_port`.
    package static func suffix(of path: String) -> String {
        String(path.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// The variables that set a key, the strongest first.
    package static func names(of path: String) -> [String] {
        prefixes.map { $0 + suffix(of: path) } + short.filter { $0.path == path }.map(\.name)
    }

    /// Key by variable, with the rank of the variable among those of its key; 0 is the strongest.
    static let table: [String: (path: String, rank: Int)] = Dictionary(
        ConfigurationKeys.all.flatMap { key in
            names(of: key.path).enumerated().map { ($0.element, (key.path, $0.offset)) }
        }, uniquingKeysWith: { first, _ in first })

    /// The key a variable sets, when it is below a structure that has no keys of its own: `LIVEKIT_REDIS_ADDRESS`.
    static func structure(of variable: String) -> ConfigurationKey? {
        guard let prefix = prefixes.first(where: { variable.hasPrefix($0) }) else { return nil }
        let rest = variable.dropFirst(prefix.count)
        return ConfigurationKeys.all.first { key in
            key.kind == .tree && key.use != .used && rest.hasPrefix(suffix(of: key.path) + "_")
        }
    }
}
