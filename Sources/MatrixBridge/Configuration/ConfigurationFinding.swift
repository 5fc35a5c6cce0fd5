// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One thing to say about the configuration: what is wrong, where, and what the line should be.
///
/// Nothing in a finding may hold a secret: problems quote values of non-secret keys only, and corrections mask.
package struct ConfigurationFinding: Equatable, Sendable {
    package enum Severity: String, Comparable, Sendable {
        /// Nothing to do; a key that has no effect here.
        case note
        /// The configuration is used, but probably does not mean what its author wanted.
        case warning
        /// The configuration is not used.
        case fault

        package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

        private var rank: Int {
            switch self {
            case .note: 0
            case .warning: 1
            case .fault: 2
            }
        }
    }

    package var severity: Severity
    package var origin: ConfigurationOrigin
    /// What is wrong, one sentence without a full stop.
    package var problem: String
    /// The corrected line, or the command that corrects; nil when nothing needs to change.
    package var correction: String?
    /// The line of the text with everything secret replaced, when there is one to show.
    package var excerpt: String?
    /// The exit code of a start that ends with this fault.
    package var status: ExitStatus

    package init(
        _ severity: Severity, at origin: ConfigurationOrigin, _ problem: String, correction: String? = nil,
        excerpt: String? = nil, status: ExitStatus = .configuration
    ) {
        self.severity = severity
        self.origin = origin
        self.problem = problem
        self.correction = correction
        self.excerpt = excerpt
        self.status = status
    }

    /// The finding for a person: severity and problem, source, the line with a caret, and the correction.
    package var report: String {
        var lines = ["\(severity.rawValue): \(problem)", "  at \(origin)"]
        if let excerpt, case .text(_, let place) = origin {
            let number = String(place.line)
            lines.append("  \(number) | \(excerpt)")
            let indent = String(repeating: " ", count: number.count + 5 + min(place.column - 1, excerpt.count))
            lines.append("\(indent)^")
        }
        if let correction {
            let parts = correction.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, part) in parts.enumerated() {
                lines.append((index == 0 ? "  fix: " : "       ") + part)
            }
        }
        return lines.joined(separator: "\n")
    }
}

extension Sequence<ConfigurationFinding> {
    /// All findings for a person, in reading order, one empty line between them.
    package var report: String {
        map(\.report).joined(separator: "\n\n")
    }
}
