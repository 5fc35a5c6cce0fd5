// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Who may call the bot: those who may publish in calls of the room. Pure.
package struct LegacyCallAdmission: Sendable {
    private let policy: AccessPolicy
    private let aliases: RoomAliasBook

    package init(policy: AccessPolicy, aliases: RoomAliasBook) {
        self.policy = policy
        self.aliases = aliases
    }

    /// Nil when the user may.
    package func refusal(of caller: UserID, in room: RoomID) -> LegacyCallRefusal? {
        let policy = policy.inRoom(room, aliases: aliases.known(of: room))
        do throws(TokenExchangeRefusal) {
            try policy.admit(caller)
        } catch {
            return .notAllowed
        }
        // What comes back was published here first.
        return policy.mayPublish(caller.serverName, generation: .sessionState) ? nil : .notAllowed
    }
}
