// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A YAML value with its place: what is left of a text once anchors, tags and styles are resolved.
package struct ConfigurationNode: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        case null
        case scalar(String)
        case sequence([ConfigurationNode])
        case mapping([Entry])
    }

    package struct Entry: Equatable, Sendable {
        package var key: String
        package var place: TextPlace
        package var value: ConfigurationNode

        package init(key: String, place: TextPlace, value: ConfigurationNode) {
            self.key = key
            self.place = place
            self.value = value
        }
    }

    package var content: Content
    package var place: TextPlace

    package init(_ content: Content, at place: TextPlace = .start) {
        self.content = content
        self.place = place
    }

    /// The kind in words, for a fault: "a list".
    package var kindName: String {
        switch content {
        case .null: "nothing"
        case .scalar: "a single value"
        case .sequence: "a list"
        case .mapping: "a map"
        }
    }

    package var scalar: String? {
        guard case .scalar(let text) = content else { return nil }
        return text
    }

    /// The value below `key` of a mapping.
    package subscript(key: String) -> ConfigurationNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }
}
