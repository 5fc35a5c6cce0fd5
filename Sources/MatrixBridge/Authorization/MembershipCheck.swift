// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// Finds out what decides about a user in a room.
package protocol MembershipChecking: Sendable {
    /// Whether the user is joined.
    func membership(of user: UserID, in room: RoomID) async -> AccessPolicy.Membership
    /// Who has which level in the room; nil when nobody may look. The members in it may be missing.
    ///
    /// - Throws: when the homeserver failed, so that trying later helps.
    func facts(of room: RoomID, for user: UserID) async throws(TokenExchangeRefusal) -> RoomFacts?
    /// Changes whenever something we saw may have changed the answers; 0 for a room we do not see.
    func version(of room: RoomID) -> UInt64
}

/// Looks into what the bot sees, else asks the homeserver, by the cheapest means that we are allowed:
///
/// 1. `is_joined` (MSC4502) with the second registration;
/// 2. the member list as the call bot, if the bot is in the room;
/// 3. the member list as the user itself, if it is local, with the second registration.
package struct MembershipCheck: MembershipChecking {
    private let client: MatrixClient
    private let bot: UserID
    /// Acts for any local user; nil when the second registration is not loaded.
    private let delegate: MatrixClient?
    private let book: RoomFactsBook

    package init(
        client: MatrixClient, bot: UserID, delegate: MatrixClient?, book: RoomFactsBook = RoomFactsBook(),
    ) {
        self.client = client
        self.bot = bot
        self.delegate = delegate
        self.book = book
    }

    package func version(of room: RoomID) -> UInt64 {
        book.version(of: room)
    }

    package func membership(of user: UserID, in room: RoomID) async -> AccessPolicy.Membership {
        // Who is not in there may have joined a moment ago, so only the homeserver can say no.
        if book.isJoined(user, to: room) { return .joined }
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

    package func facts(of room: RoomID, for user: UserID) async throws(TokenExchangeRefusal) -> RoomFacts? {
        if let facts = book.facts(of: room) { return facts }
        var failure: String?
        do throws(MatrixClientError) {
            if let facts = try await read(room, with: client, as: bot) { return facts }
        } catch {
            if error.isTransient { failure = error.description }
        }
        if let delegate, user.serverName == bot.serverName {
            do throws(MatrixClientError) {
                if let facts = try await read(room, with: delegate, as: user) { return facts }
            } catch {
                if error.isTransient { failure = error.description }
            }
        }
        if let failure { throw .homeserverDown(failure) }
        return nil
    }

    /// The few state events that decide, one by one: the whole state of a large room is megabytes.
    ///
    /// - Returns: nil without the event that every room begins with: then the others are not to be seen either.
    private func read(
        _ room: RoomID, with client: MatrixClient, as user: UserID,
    ) async throws(MatrixClientError) -> RoomFacts? {
        var facts = RoomFacts()
        for type in ["m.room.power_levels", "m.room.create", "m.room.encryption", "m.room.tombstone"] {
            guard let event = try await client.stateEvent(ofType: type, in: room, as: .init(userID: user)) else {
                continue
            }
            facts.take(CallEvent.decode(event))
        }
        return facts.authority.creation == nil ? nil : facts
    }
}
