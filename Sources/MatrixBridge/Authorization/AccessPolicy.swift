// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

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

    package init(
        localServer: ServerName, fullAccess: FullAccess? = nil,
        membershipRequirement: MembershipRequirement = .auto, remotePublishing: RemotePublishing = .compatibility,
    ) {
        self.localServer = localServer
        self.fullAccess = fullAccess ?? .servers([localServer])
        self.membershipRequirement = membershipRequirement
        self.remotePublishing = remotePublishing
    }

    package func level(of server: ServerName) -> Level {
        switch fullAccess {
        case .everyone: .full
        case .servers(let servers): servers.contains(server) ? .full : .restricted
        }
    }

    package func mayPublish(_ server: ServerName, form: TokenRequest.Form) -> Bool {
        if server == localServer { return true }
        return switch (remotePublishing, form) {
        case (.always, _), (.compatibility, .compatibility): true
        case (.never, _), (.compatibility, .slot): false
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
