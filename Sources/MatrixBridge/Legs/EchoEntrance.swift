// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// The media of an echo leg.
package protocol EchoMedia: Sendable {
    var progress: EchoParticipant.Progress { get }
    func run() async -> EchoParticipant.Ending
    func stop()
}

extension EchoParticipant: EchoMedia {}

/// Lets echo legs into the focus.
package protocol EchoEntering: Sendable {
    /// - Throws: why there is no way in.
    func enter(
        _ participant: FocusParticipant, as user: UserID, of room: RoomID, frames: any EchoFrames,
    ) async throws -> any EchoMedia
}

/// By the front door: the call's room is made as for anybody, and a token signed.
package struct EchoEntrance: EchoEntering {
    private let focus: any FocusControlling
    private let minter: JoinTokenMinter
    private let issued: IssuedIdentities
    private let policy: AccessPolicy
    private let aliases: RoomAliasBook?
    private let url: SignalURL
    private let clock: ServiceClock

    private static let rights = ParticipantRights(canPublish: true, canSubscribe: true, canPublishData: false)

    /// - Parameter url: Our own HTTP port, over loopback.
    package init(
        focus: any FocusControlling, minter: JoinTokenMinter, issued: IssuedIdentities, policy: AccessPolicy,
        aliases: RoomAliasBook?, url: SignalURL, clock: ServiceClock,
    ) {
        self.focus = focus
        self.minter = minter
        self.issued = issued
        self.policy = policy
        self.aliases = aliases
        self.url = url
        self.clock = clock
    }

    package func enter(
        _ participant: FocusParticipant, as user: UserID, of room: RoomID, frames: any EchoFrames,
    ) async throws -> any EchoMedia {
        // Whoever makes the room sets its size.
        let settings = policy.inRoom(room, aliases: try await aliases?.names(of: room) ?? [])
        try await focus.createRoom(
            named: participant.room, emptyTimeoutSeconds: TokenExchange.emptyTimeoutSeconds,
            departureTimeoutSeconds: TokenExchange.departureTimeoutSeconds,
            maximumParticipants: UInt32(clamping: settings.limits.participantsPerRoom))
        let now = clock.unixMilliseconds()
        let token = try minter.mint(participant, rights: Self.rights, unixSeconds: now / 1_000)
        // So that what happens to the bot in the room reaches the leg.
        _ = issued.record(participant, of: user, in: room, rights: Self.rights, at: now)
        return EchoParticipant(EchoParticipant.Plan(url: url, token: token), frames: frames)
    }
}
