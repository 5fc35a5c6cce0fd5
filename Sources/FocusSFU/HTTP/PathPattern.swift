// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The path of a route: literal segments, `:name` for one segment, and a last `*` for the rest.
struct PathPattern: Equatable, Sendable {
    enum Segment: Equatable, Sendable {
        case literal(String)
        case parameter(String)
        /// Zero or more segments; last only.
        case rest

        /// Lower matches first where two patterns first differ.
        var rank: Int {
            switch self {
            case .literal: 0
            case .parameter: 1
            case .rest: 2
            }
        }
    }

    let segments: [Segment]

    init(_ path: String) {
        precondition(path.hasPrefix("/"), "a route's path starts with a slash")
        let pieces = path == "/" ? [] : path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        segments = pieces.map { piece in
            if piece == "*" { return .rest }
            return piece.hasPrefix(":") ? .parameter(String(piece.dropFirst())) : .literal(String(piece))
        }
        precondition(!segments.dropLast().contains(.rest), "only the last segment of a route can be *")
    }

    /// The parameters when the decoded segments fit; a parameter takes exactly one segment that is not empty.
    func match(_ path: [String]) -> PathParameters? {
        var parameters = PathParameters()
        for (index, segment) in segments.enumerated() {
            if segment == .rest {
                parameters.rest = Array(path.dropFirst(index))
                return parameters
            }
            guard index < path.count else { return nil }
            switch segment {
            case .literal(let text):
                guard text == path[index] else { return nil }
            case .parameter(let name):
                guard !path[index].isEmpty else { return nil }
                parameters[name] = path[index]
            case .rest:
                return nil
            }
        }
        return path.count == segments.count ? parameters : nil
    }

    /// Whether this pattern wins over `other` where both match: literal before parameter before rest.
    func precedes(_ other: PathPattern) -> Bool {
        segments.map(\.rank).lexicographicallyPrecedes(other.segments.map(\.rank))
    }
}

/// What the variable segments of a route's path stood for, percent-decoded.
package struct PathParameters: Equatable, Sendable {
    private var values: [String: String] = [:]
    /// The segments that a last `*` took.
    package var rest: [String] = []

    package init() {}

    package subscript(name: String) -> String? {
        get { values[name] }
        set { values[name] = newValue }
    }
}
