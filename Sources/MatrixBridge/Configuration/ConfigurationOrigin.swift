// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A place in a text: line and column, both counted from 1, columns in Unicode scalars.
package struct TextPlace: Hashable, Comparable, Sendable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static let start = TextPlace(line: 1, column: 1)

    package static func < (left: Self, right: Self) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// Where an effective value, or the fault found in it, comes from.
package enum ConfigurationOrigin: Hashable, Sendable {
    /// The table of keys.
    case builtIn
    /// `--dev` changed the built-in value.
    case development
    /// A YAML text; `name` is the file's path, or the variable that held the whole text.
    case text(name: String, at: TextPlace)
    /// A variable of the process environment.
    case environment(String)
    /// A variable set in a file given with `--env-file`.
    case environmentFile(path: String, line: Int, variable: String)
    /// A command line option, with its dashes.
    case flag(String)
    /// Everything together: the fault is that no source says something.
    case allSources
}

extension ConfigurationOrigin: CustomStringConvertible {
    package var description: String {
        switch self {
        case .builtIn: "default"
        case .development: "--dev"
        case .text(let name, let place): "\(name):\(place.line):\(place.column)"
        case .environment(let name): "environment variable \(name)"
        case .environmentFile(let path, let line, let variable): "\(path):\(line):1 (\(variable))"
        case .flag(let name): "flag \(name)"
        case .allSources: "no source"
        }
    }
}
