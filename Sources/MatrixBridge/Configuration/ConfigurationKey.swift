// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One key of the configuration: its name, its type, its built-in value and what it is for.
///
/// The sections declare their keys; the table of all of them drives the names of the environment variables, the search
/// for misspelt names, the reading of values and `config print`, so none of these can disagree.
package struct ConfigurationKey: Sendable {
    package enum Kind: Equatable, Sendable {
        case text
        case boolean
        case integer(ClosedRange<Int>)
        /// Seconds as a bare number, or a number with a unit: `300`, `5m`.
        case seconds
        /// A number with a unit: `500ms`, `1.5s`; `0` needs none.
        case duration
        case choice([String])
        /// An absolute URL with one of these schemes.
        case url([String])
        /// IPv4 or IPv6 literals; a list, or one text with commas.
        case addresses
        /// A list of texts, or one text with commas.
        case texts
        /// A structure its section reads itself.
        case tree
    }

    package enum Use: Equatable, Sendable {
        case used
        /// A valid key of LiveKit that changes nothing here; the text says why, or what does its work.
        case accepted(String)
    }

    /// Dotted: `rtc.udp_port`.
    package var path: String
    package var kind: Kind
    /// The built-in value as one would write it in YAML; empty for none.
    package var defaultText: String
    /// The built-in value with `--dev`, where it differs.
    package var developmentText: String?
    /// What a correction shows when there is no built-in value to show.
    package var example: String?
    package var isSecret: Bool
    package var use: Use
    /// What it is for, with unit and range.
    package var comment: String

    package init(
        _ path: String, _ kind: Kind, default defaultText: String = "", development: String? = nil,
        example: String? = nil, isSecret: Bool = false, use: Use = .used, _ comment: String
    ) {
        self.path = path
        self.kind = kind
        self.defaultText = defaultText
        self.developmentText = development
        self.example = example
        self.isSecret = isSecret
        self.use = use
        self.comment = comment
    }

    /// The last part of the path.
    package var name: String {
        path.split(separator: ".").last.map(String.init) ?? path
    }

    /// The part of the path above the name; empty at the root.
    package var parent: String {
        path.split(separator: ".").dropLast().joined(separator: ".")
    }

    /// What a corrected line shows as the value.
    var correctValue: String {
        if let example { return example }
        if !defaultText.isEmpty { return defaultText }
        switch kind {
        case .text, .tree: return isSecret ? "…" : "\"\""
        case .boolean: return "false"
        case .integer(let range): return String(range.lowerBound)
        case .seconds: return "0"
        case .duration: return "500ms"
        case .choice(let names): return names.first ?? "\"\""
        case .url(let schemes): return "\(schemes.first ?? "https")://call.example.org"
        case .addresses: return "[192.0.2.10]"
        case .texts: return "[]"
        }
    }

    /// What the kind wants, for a fault: "must be …".
    var requirement: String {
        switch kind {
        case .text: "must be a single value"
        case .boolean: "must be true or false"
        case .integer(let range): "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .seconds: "must be a number of seconds, or a number with a unit such as 5m"
        case .duration: "must be a number with a unit (ms, s, m or h)"
        case .choice(let names): "must be one of " + names.joined(separator: ", ")
        case .url(let schemes): "must be a URL that starts with " + schemes.map { "\($0)://" }.joined(separator: " or ")
        case .addresses: "must be an IPv4 or IPv6 address, or a list of them"
        case .texts: "must be a list of texts"
        case .tree: "must be a list or a map"
        }
    }
}

/// Every key there is.
package enum ConfigurationKeys {
    package static let all: [ConfigurationKey] =
        ServerConfiguration.keys + APIKeyConfiguration.keys + RTCConfiguration.keys + TURNConfiguration.keys
        + RoomConfiguration.keys + AudioConfiguration.keys + LimitConfiguration.keys + LoggingConfiguration.keys
        + MatrixConfiguration.keys + LiveKitOnlyKeys.keys

    package static let byPath: [String: ConfigurationKey] = Dictionary(
        all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

    /// Paths that are maps of further keys: `rtc`, `rtc.pli_throttle`.
    package static let sections: Set<String> = Set(
        all.flatMap { key in
            let parts = key.path.split(separator: ".")
            return (1..<max(1, parts.count)).map { parts.prefix($0).joined(separator: ".") }
        })

    /// The names allowed directly below a section; the root is "".
    static func names(below section: String) -> [String] {
        let prefix = section.isEmpty ? "" : section + "."
        let paths = all.map(\.path) + sections.sorted()
        return paths.compactMap { path in
            guard path.hasPrefix(prefix) else { return nil }
            let rest = path.dropFirst(prefix.count)
            return rest.isEmpty || rest.contains(".") ? nil : String(rest)
        }
    }
}
