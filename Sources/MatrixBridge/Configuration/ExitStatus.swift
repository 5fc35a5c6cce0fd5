// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The exit codes of `callbridge`, stable within a major version.
package enum ExitStatus: Int32, Sendable, CaseIterable {
    case success = 0
    case failure = 1
    case configuration = 10
    case registration = 11
    case homeserverUnreachable = 12
    case tokenMismatch = 13
    case database = 14
    case portInUse = 15
    case usage = 64

    package var meaning: String {
        switch self {
        case .success: "done"
        case .failure: "a fault without a code of its own"
        case .configuration: "the configuration has faults"
        case .registration: "the registration is missing, unreadable or contradictory"
        case .homeserverUnreachable: "the homeserver does not answer"
        case .tokenMismatch: "the homeserver refuses our token, or shows another"
        case .database: "the database cannot be opened or migrated"
        case .portInUse: "a port is taken by another process"
        case .usage: "the command line is wrong"
        }
    }

    /// A table for `--help`.
    package static var table: String {
        allCases.map { status in
            let code = String(status.rawValue)
            return "  " + code + String(repeating: " ", count: 4 - code.count) + status.meaning
        }.joined(separator: "\n")
    }
}

/// Why the process ends: printed as its last line.
///
/// Every exit with a code other than 0 goes through one of these.
package struct Termination: Error, Equatable, Sendable, CustomStringConvertible {
    package var status: ExitStatus
    /// What is wrong.
    package var cause: String
    /// File, variable, flag, address: where it is wrong.
    package var source: String
    /// What to do about it, one line.
    package var fix: String

    package init(_ status: ExitStatus, cause: String, source: String, fix: String) {
        self.status = status
        self.cause = cause
        self.source = source
        self.fix = fix
    }

    /// One line whatever the parts hold.
    package var description: String {
        let parts = [cause, source, fix].map { part in
            part.split(whereSeparator: \.isNewline).map { $0.drop(while: \.isWhitespace) }.joined(separator: "; ")
        }
        return "error: " + parts.joined(separator: " — ")
    }
}

extension Termination {
    /// The first fault decides cause, source and fix; the others are counted.
    ///
    /// Returns nil when the findings hold no fault.
    package init?(findings: [ConfigurationFinding]) {
        let faults = findings.filter { $0.severity == .fault }
        guard let first = faults.first else { return nil }
        let others = faults.count > 1 ? " (and \(faults.count - 1) more, listed above)" : ""
        self.init(
            faults.allSatisfy { $0.status == first.status } ? first.status : .configuration,
            cause: first.problem + others, source: first.origin.description,
            fix: first.correction ?? "correct the place named"
        )
    }
}
