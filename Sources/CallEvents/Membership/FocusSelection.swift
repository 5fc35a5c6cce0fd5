// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How the SFU of a member is chosen (`focus_active.focus_selection`).
package enum FocusSelection: String, CaseIterable, Sendable, Codable {
    /// Every member publishes to its own first focus.
    case multipleFoci = "multi_sfu"
    /// Everybody uses the first focus of the member that joined first. No longer sent, still understood.
    case oldestMembership = "oldest_membership"
    /// Another or no rule: the member has no usable transport.
    case unknown
}
