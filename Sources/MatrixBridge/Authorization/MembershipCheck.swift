// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Finds out whether a user is joined to a room.
package protocol MembershipChecking: Sendable {
    func membership(of user: UserID, in room: RoomID) async -> AccessPolicy.Membership
}

/// Asks the homeserver, by the cheapest means that we are allowed:
///
/// 1. `is_joined` (MSC4502) with the second registration;
/// 2. the member list as the call bot, if the bot is in the room;
/// 3. the member list as the user itself, if it is local, with the second registration.
package struct MembershipCheck: MembershipChecking {
    private let client: MatrixClient
    private let bot: UserID
    /// Acts for any local user; nil when the second registration is not loaded.
    private let delegate: MatrixClient?

    package init(client: MatrixClient, bot: UserID, delegate: MatrixClient?) {
        self.client = client
        self.bot = bot
        self.delegate = delegate
    }

    package func membership(of user: UserID, in room: RoomID) async -> AccessPolicy.Membership {
        var failure: String?
        if let delegate {
            do throws(MatrixClientError) {
                return try await delegate.isJoined(user, in: room) ? .joined : .notJoined
            } catch {
                if error.isTransient { failure = error.description }
            }
        }
        do throws(MatrixClientError) {
            let members = try await client.joinedMembers(of: room, as: .init(userID: bot))
            return members.contains(user) ? .joined : .notJoined
        } catch {
            if error.isTransient { failure = error.description }
        }
        if let delegate, user.serverName == bot.serverName {
            do throws(MatrixClientError) {
                let members = try await delegate.joinedMembers(of: room, as: .init(userID: user))
                return members.contains(user) ? .joined : .notJoined
            } catch .refused(let error) where error.status == 403 {
                // The delegate may act for this user, so it is the room that refuses.
                return .notJoined
            } catch {
                if error.isTransient { failure = error.description }
            }
        }
        return failure.map(AccessPolicy.Membership.lookupFailed) ?? .notVisible
    }
}
