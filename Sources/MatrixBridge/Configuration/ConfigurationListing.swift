// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Every effective value with its origin and meaning, shaped as YAML: what `callbridge config print` shows.
///
/// The text parses as YAML; masked secrets stay masked in it, so it is for reading and not a configuration file.
package struct ConfigurationListing: Equatable, Sendable {
    package let text: String

    package init(of values: [EffectiveValue]) {
        var lines: [String] = []
        var open: [String] = []
        for value in Self.grouped(values) {
            let parts = value.path.split(separator: ".").map(String.init)
            let sections = Array(parts.dropLast())
            if sections.first != open.first, !lines.isEmpty { lines.append("") }
            let common = zip(sections, open).prefix { $0 == $1 }.count
            for depth in common..<max(common, sections.count) {
                lines.append(Self.indent(depth) + sections[depth] + ":")
            }
            open = sections
            let indent = Self.indent(sections.count)
            lines.append("\(indent)# \(value.comment)")
            lines.append("\(indent)\(parts.last ?? value.path): \(value.text)  # from \(value.origin)")
        }
        self.text = lines.joined(separator: "\n") + "\n"
    }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

    /// Root keys first, then section by section in order of appearance, a section's own keys before its parts.
    private static func grouped(_ values: [EffectiveValue]) -> [EffectiveValue] {
        func section(_ value: EffectiveValue, depth: Int) -> String {
            let parts = value.path.split(separator: ".")
            return parts.count > depth ? parts.prefix(depth).joined(separator: ".") : ""
        }
        func order(_ depth: Int) -> [String: Int] {
            var positions: [String: Int] = ["": -1]
            for value in values {
                let name = section(value, depth: depth)
                if positions[name] == nil { positions[name] = positions.count }
            }
            return positions
        }
        let outer = order(1)
        let inner = order(2)
        return values.enumerated().sorted { left, right in
            func rank(_ item: (offset: Int, element: EffectiveValue)) -> [Int] {
                [
                    outer[section(item.element, depth: 1)] ?? 0, inner[section(item.element, depth: 2)] ?? 0,
                    item.offset,
                ]
            }
            return rank(left).lexicographicallyPrecedes(rank(right))
        }.map(\.element)
    }
}
