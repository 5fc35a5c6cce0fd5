// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What follows from a change of the bot's own membership of a room. Pure: facts in, decision out.
///
/// A homeserver pushes a room's events only while a user of our namespace is joined there, so the bot accepts the
/// invitations of those who may have calls created here, and declines all others.
package struct BotMembershipPolicy: Sendable {
    package enum Decision: Equatable, Sendable {
        /// Something is to be done at the homeserver.
        case errand(RoomErrand.Kind)
        /// The bot is out: what is known about the room no longer changes.
        case forgetRoom
    }

    package var bot: UserID
    package var access: AccessPolicy
    /// Whose invitations are accepted wherever they are.
    package var administrators: Set<UserID>

    package init(bot: UserID, access: AccessPolicy, administrators: Set<UserID> = []) {
        self.bot = bot
        self.access = access
        self.administrators = administrators
    }

    /// - Parameter sender: Who changed the membership.
    /// - Returns: nil when the change is about somebody else, or means nothing to us.
    package func decision(on member: RoomMember, by sender: UserID) -> Decision? {
        guard member.user == bot else { return nil }
        switch member.membership {
        case .invite: return .errand(accepts(inviter: sender) ? .join : .decline)
        case .join: return .errand(.readState)
        case .leave, .ban: return .forgetRoom
        case .knock: return nil
        }
    }

    private func accepts(inviter: UserID) -> Bool {
        administrators.contains(inviter) || inviter.serverName == access.localServer
            || access.level(of: inviter.serverName) == .full
    }
}
