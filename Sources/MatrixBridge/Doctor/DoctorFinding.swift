// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One thing the doctor looked at: how it is, and what to do.
typealias DoctorFinding = DiscoveryCheck.Finding

extension DoctorFinding {
    static func ok(_ text: String) -> Self { Self(severity: .ok, text: text, remedy: "") }
    static func warn(_ text: String, _ remedy: String) -> Self { Self(severity: .warn, text: text, remedy: remedy) }
    static func fail(_ text: String, _ remedy: String) -> Self { Self(severity: .fail, text: text, remedy: remedy) }

    /// The finding on one line, its fix on the next.
    var report: String {
        "\(severity.rawValue): \(text)" + (remedy.isEmpty ? "" : "\n      fix: \(remedy)")
    }
}
