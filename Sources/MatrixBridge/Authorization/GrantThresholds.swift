// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// Which power level of the Matrix room gives which right in its call.
package struct GrantThresholds: Equatable, Sendable {
    package enum Threshold: Equatable, Sendable, CustomStringConvertible {
        /// Every member.
        case any
        /// Who may announce itself in a call: the level of the call-member event of the client's generation.
        case callMember
        case level(Int64)
        case never

        /// `any`, `call`, `never`, or a level as an integer.
        package init?(_ text: String) {
            switch text.lowercased() {
            case "any": self = .any
            case "call": self = .callMember
            case "never": self = .never
            default:
                guard let level = Int64(text) else { return nil }
                self = .level(level)
            }
        }

        package var description: String {
            switch self {
            case .any: "any"
            case .callMember: "call"
            case .level(let level): "\(level)"
            case .never: "never"
            }
        }

        /// The level needed in a room; nil when no level is enough.
        func levelNeeded(in authority: RoomAuthority, for action: RoomAuthority.Action) -> PowerLevel? {
            switch self {
            case .any: .value(.min)
            case .callMember: authority.levelNeeded(for: action)
            case .level(let level): .value(level)
            case .never: nil
            }
        }
    }

    /// Getting a token at all.
    package var join = Threshold.callMember
    package var publish = Threshold.callMember
    package var subscribe = Threshold.any
    /// Data messages.
    package var data = Threshold.callMember
    /// Administration of the call by the server API with the own token.
    package var administer = Threshold.never

    package init() {}
}
