// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// Who may have calls created, who must be joined, and who may send media. Pure: facts in, verdict out.
package struct AccessPolicy: Equatable, Sendable {
    /// Servers whose users may cause the creation of rooms. Others get a token for a room that exists only if somebody
    /// with full access came first.
    package enum FullAccess: Equatable, Sendable {
        case everyone
        case servers(Set<ServerName>)
    }

    package enum Level: Equatable, Sendable {
        case full
        case restricted
    }

    /// Whether a token needs membership of the Matrix room.
    package enum MembershipRequirement: String, CaseIterable, Sendable {
        /// Enforced whenever we are able to see the room.
        case auto
        case always
        case never
    }

    /// Whether users of servers other than ours may publish here.
    package enum RemotePublishing: String, CaseIterable, Sendable {
        case never
        /// Only on the older endpoint: its clients all publish on one focus, the oldest member's. Newer ones publish
        /// on their own server's.
        case compatibility
        case always
    }

    /// What is known about a user and a room.
    package enum Membership: Equatable, Sendable {
        case joined
        case notJoined
        /// None of our users or registrations may look into the room.
        case notVisible
        /// The homeserver failed; nothing is known and trying later helps.
        case lookupFailed(String)
    }

    package var localServer: ServerName
    package var fullAccess: FullAccess
    package var membershipRequirement: MembershipRequirement
    package var remotePublishing: RemotePublishing
    package var thresholds: GrantThresholds
    package var limits: AccessLimits
    /// What is different in some rooms.
    package var rules: [RoomRule]
    /// The rule that counts, in the policy of one room.
    package var rule: RoomRule?

    package init(
        localServer: ServerName, fullAccess: FullAccess? = nil,
        membershipRequirement: MembershipRequirement = .auto, remotePublishing: RemotePublishing = .compatibility,
        thresholds: GrantThresholds = GrantThresholds(), limits: AccessLimits = AccessLimits(), rules: [RoomRule] = [],
    ) {
        self.localServer = localServer
        self.fullAccess = fullAccess ?? .servers([localServer])
        self.membershipRequirement = membershipRequirement
        self.remotePublishing = remotePublishing
        self.thresholds = thresholds
        self.limits = limits
        self.rules = rules
    }

    package func level(of server: ServerName) -> Level {
        switch fullAccess {
        case .everyone: .full
        case .servers(let servers): servers.contains(server) ? .full : .restricted
        }
    }

    package func mayPublish(_ server: ServerName, generation: RTCMembership.Generation) -> Bool {
        if server == localServer { return true }
        return switch (remotePublishing, generation) {
        case (.always, _), (.compatibility, .sessionState): true
        case (.never, _), (.compatibility, .stickyDraft), (.compatibility, .sticky): false
        }
    }

    /// What a user may do in a running call.
    ///
    /// - Parameter facts: nil when nobody may look into the room; then levels decide nothing.
    package func rights(
        of user: UserID, generation: RTCMembership.Generation, facts: RoomFacts?,
    ) -> ParticipantRights {
        let mayPublish = mayPublish(user.serverName, generation: generation)
        guard let facts, membershipRequirement != .never else {
            return ParticipantRights(canPublish: mayPublish, canSubscribe: true, canPublishData: mayPublish)
        }
        let action = Self.callMemberAction(generation, isEncrypted: facts.isEncrypted)
        let level = facts.authority.level(of: user)
        func has(_ threshold: GrantThresholds.Threshold) -> Bool {
            threshold.levelNeeded(in: facts.authority, for: action).map { level >= $0 } ?? false
        }
        return ParticipantRights(
            canPublish: mayPublish && has(thresholds.publish), canSubscribe: has(thresholds.subscribe),
            canPublishData: mayPublish && has(thresholds.data), canAdminister: has(thresholds.administer))
    }

    /// Refuses who may not take part in a call of the room at all.
    package func admit(
        _ user: UserID, generation: RTCMembership.Generation, facts: RoomFacts?,
    ) throws(TokenExchangeRefusal) {
        guard let facts else { return }
        if let tombstone = facts.tombstone { throw .roomReplaced(by: tombstone.replacement) }
        let action = Self.callMemberAction(generation, isEncrypted: facts.isEncrypted)
        let level = facts.authority.level(of: user)
        let needed = thresholds.join.levelNeeded(in: facts.authority, for: action)
        guard let needed, level >= needed else {
            let event: String? =
                switch (thresholds.join, action) {
                case (.callMember, .sendState(let type)), (.callMember, .sendMessage(let type)): type
                default: nil
                }
            throw .levelTooLow(has: level, needs: needed, event: event)
        }
    }

    /// The event by which a client of a generation announces itself. The sticky one of an encrypted room is encrypted,
    /// and then the homeserver asks for the level of that.
    private static func callMemberAction(
        _ generation: RTCMembership.Generation, isEncrypted: Bool,
    ) -> RoomAuthority.Action {
        switch (generation, isEncrypted) {
        case (.sessionState, _): .sendState(SessionStateMembership.eventType)
        case (.stickyDraft, true), (.sticky, true): .sendMessage("m.room.encrypted")
        case (.stickyDraft, false): .sendMessage("org.matrix.msc4143.rtc.member")
        case (.sticky, false): .sendMessage("m.rtc.member")
        }
    }

    /// Refuses who must be joined and is not.
    package func admit(_ membership: Membership) throws(TokenExchangeRefusal) {
        switch (membershipRequirement, membership) {
        case (.never, _), (_, .joined), (.auto, .notVisible): return
        case (_, .notJoined): throw .notJoined
        case (.always, .notVisible): throw .membershipUnknown
        case (.auto, .lookupFailed(let detail)), (.always, .lookupFailed(let detail)): throw .homeserverDown(detail)
        }
    }
}
