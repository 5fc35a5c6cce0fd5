// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import FocusSFU

/// Turns an OpenID token into a token for the focus: verify the user, apply the policy, create the room, sign.
///
/// The room exists before the token is handed out, because tokens do not allow to create it.
package actor TokenExchange {
    /// What the client gets.
    package struct Answer: Equatable, Sendable {
        /// The public `wss://` base of the focus; clients append `/rtc`.
        package var url: String
        package var jwt: String

        package var body: JSONValue { .object(["url": .string(url), "jwt": .string(jwt)]) }
    }

    /// What the exchange works with.
    package struct Dependencies: Sendable {
        package var verifier: OpenIDVerifier
        package var membership: any MembershipChecking
        package var focus: any FocusControlling
        package var minter: JoinTokenMinter
        package var issued: IssuedIdentities
        /// What users tried, for `why`.
        package var attempts: AttemptLog
        package var delegation: DelayedLeaveDelegation
        /// What the names in room rules mean; nil without such rules.
        package var aliases: RoomAliasBook?
        package var clock: ServiceClock

        package init(
            verifier: OpenIDVerifier, membership: any MembershipChecking, focus: any FocusControlling,
            minter: JoinTokenMinter, issued: IssuedIdentities, attempts: AttemptLog = AttemptLog(),
            delegation: DelayedLeaveDelegation, aliases: RoomAliasBook? = nil, clock: ServiceClock,
        ) {
            self.verifier = verifier
            self.membership = membership
            self.focus = focus
            self.minter = minter
            self.issued = issued
            self.attempts = attempts
            self.delegation = delegation
            self.aliases = aliases
            self.clock = clock
        }
    }

    /// How long an empty room waits for its first participant, and for another after the last.
    static let emptyTimeoutSeconds: UInt32 = 300
    static let departureTimeoutSeconds: UInt32 = 20

    /// A room in which more happens than this while one token is made is asked about later.
    private static let maximumChecks = 10

    private let policy: AccessPolicy
    private let focusURL: String
    private let dependencies: Dependencies
    private var rates: TokenRequestRates
    private var isShuttingDown = false
    /// Refusals by reason.
    package nonisolated let refusals = Tally<TokenExchangeRefusal.Reason>()

    package init(policy: AccessPolicy, focusURL: String, dependencies: Dependencies) {
        self.policy = policy
        rates = TokenRequestRates(policy.limits)
        self.focusURL = focusURL
        self.dependencies = dependencies
    }

    /// From now on every request is refused.
    package func shutDown() {
        isShuttingDown = true
    }

    /// - Parameter read: Reads the request; its refusals count like any other.
    package func answer(
        _ read: @Sendable () throws(TokenExchangeRefusal) -> TokenRequest,
    ) async throws(TokenExchangeRefusal) -> Answer {
        do throws(TokenExchangeRefusal) {
            return try await exchange(try read())
        } catch {
            refusals.count(error.reason)
            throw error
        }
    }

    /// Takes a delayed leave over and hands out nothing.
    package func delegate(
        _ read: @Sendable () throws(TokenExchangeRefusal) -> TokenRequest,
    ) async throws(TokenExchangeRefusal) {
        do throws(TokenExchangeRefusal) {
            let request = try read()
            let user = try await verify(request)
            _ = try await admit(user, to: request, in: try await policy(for: request.room))
            try await takeOver(request, user)
        } catch {
            refusals.count(error.reason)
            throw error
        }
    }

    /// The same for a user that a homeserver vouches for.
    package func delegate(_ request: TokenRequest, by user: UserID) async throws(TokenExchangeRefusal) {
        do throws(TokenExchangeRefusal) {
            try receive(request, from: user)
            _ = try await admit(user, to: request, in: try await policy(for: request.room))
            try await takeOver(request, user)
        } catch {
            refusals.count(error.reason)
            throw error
        }
    }

    /// A token for a user that a homeserver vouches for.
    package func token(
        for user: UserID, _ request: TokenRequest,
    ) async throws(TokenExchangeRefusal) -> String {
        do throws(TokenExchangeRefusal) {
            try receive(request, from: user)
            return try await noted(request, user).jwt
        } catch {
            refusals.count(error.reason)
            throw error
        }
    }

    private func receive(_ request: TokenRequest, from user: UserID) throws(TokenExchangeRefusal) {
        guard !isShuttingDown else { throw .shuttingDown }
        let server = user.serverName
        if request.delegation != nil, policy.level(of: server) == .restricted { throw .delegationNotAllowed }
        if server != policy.localServer { try spend(.homeserver, server.rawValue) }
        try spend(of: user, request)
    }

    private func takeOver(_ request: TokenRequest, _ user: UserID) async throws(TokenExchangeRefusal) {
        guard let wish = request.delegation else { return }
        let participant = FocusParticipant(room: request.liveKitRoom, identity: request.liveKitIdentity(of: user))
        try await dependencies.delegation.take(wish, of: participant, room: request.room, user: user)
    }

    /// Whose request it is.
    private func verify(_ request: TokenRequest) async throws(TokenExchangeRefusal) -> UserID {
        guard !isShuttingDown else { throw .shuttingDown }
        guard let token = request.openIDToken else { throw .missingField("openid_token") }
        let server = token.server
        if request.delegation != nil, policy.level(of: server) == .restricted { throw .delegationNotAllowed }
        if server != policy.localServer {
            try spend(.homeserver, server.rawValue)
        }
        let user = try await dependencies.verifier.verify(token)
        if case .slot(_, _, _, .some(let claimed)) = request.form, claimed != user { throw .userDiffersFromClaim }
        try spend(of: user, request)
        return user
    }

    private func exchange(_ request: TokenRequest) async throws(TokenExchangeRefusal) -> Answer {
        try await noted(request, try await verify(request))
    }

    /// Issues a token and remembers for people what became of the request.
    private func noted(_ request: TokenRequest, _ user: UserID) async throws(TokenExchangeRefusal) -> Answer {
        let now = dependencies.clock.unixMilliseconds()
        do throws(TokenExchangeRefusal) {
            let answer = try await issue(request, to: user)
            dependencies.attempts.note(user, in: request.room, "a token was issued", at: now)
            return answer
        } catch {
            dependencies.attempts.note(
                user, in: request.room, "refused (\(error.reason.rawValue)): \(error.matrixError.message)", at: now)
            throw error
        }
    }

    private func issue(_ request: TokenRequest, to user: UserID) async throws(TokenExchangeRefusal) -> Answer {
        let policy = try await policy(for: request.room)
        var version = dependencies.membership.version(of: request.room)
        var rights = try await admit(user, to: request, in: policy)
        try spend(.room, request.room.rawValue)
        let participant = FocusParticipant(
            room: request.liveKitRoom, identity: request.liveKitIdentity(of: user))
        let census = UseCensus(policy: policy, issued: dependencies.issued, focus: dependencies.focus)
        let wanted = AccessLimits.Use(
            participant: participant, user: user, device: request.device,
            issuedAt: dependencies.clock.unixMilliseconds(), isPresent: false)
        let presence = try await census.presence(for: wanted)
        _ = try census.verdict(on: wanted, presence)
        try await takeOver(request, user)
        if policy.level(of: user.serverName) == .full {
            do {
                try await dependencies.focus.createRoom(
                    named: participant.room, emptyTimeoutSeconds: Self.emptyTimeoutSeconds,
                    departureTimeoutSeconds: Self.departureTimeoutSeconds,
                    maximumParticipants: UInt32(clamping: policy.limits.participantsPerRoom))
            } catch {
                throw .roomCreationFailed
            }
        }
        guard !isShuttingDown else { throw .shuttingDown }
        let issued = dependencies.issued
        // Again and without a pause before the record: others may have been served meanwhile.
        let idle = try census.verdict(on: wanted, presence)
        for use in idle { issued.remove(use.participant, of: use.user) }
        var gone = idle.map(\.participant)
        if let oldest = issued.record(
            participant, of: user, in: request.room, generation: request.generation, rights: rights,
            device: request.device, at: wanted.issuedAt)
        {
            gone.append(oldest)
        }
        for old in gone { await dependencies.focus.removeParticipant(room: old.room, identity: old.identity) }
        // What happens in the room from here on finds the participant. What happened since the check did not, so the
        // check is repeated until nothing did.
        var now = dependencies.clock.unixMilliseconds()
        for _ in 0..<Self.maximumChecks {
            let current = dependencies.membership.version(of: request.room)
            if current == version {
                let jwt = try dependencies.minter.mint(
                    participant, rights: rights, unixSeconds: now / 1_000,
                    lifetimeSeconds: request.generation == .sticky
                        ? JoinTokenMinter.shortLifetimeSeconds : JoinTokenMinter.lifetimeSeconds)
                return Answer(url: focusURL, jwt: jwt)
            }
            version = current
            now = dependencies.clock.unixMilliseconds()
            rights = try await admit(user, to: request, in: policy)
            _ = issued.setRights(rights, of: participant, user: user, in: request.room)
        }
        throw .rateLimited(retryAfterMilliseconds: 1_000)
    }

    /// Who may come in, and what it may do there.
    private func admit(
        _ user: UserID, to request: TokenRequest, in policy: AccessPolicy,
    ) async throws(TokenExchangeRefusal) -> ParticipantRights {
        let generation = request.generation
        try policy.admit(user)
        guard policy.membershipRequirement != .never else {
            return policy.rights(of: user, generation: generation, facts: nil)
        }
        var policy = policy
        // With a homeserver in between, membership can always be found out.
        if generation == .sticky { policy.membershipRequirement = .always }
        try policy.admit(await dependencies.membership.membership(of: user, in: request.room))
        let facts = try await dependencies.membership.facts(of: request.room, for: user)
        try policy.admit(user, generation: generation, facts: facts)
        return policy.rights(of: user, generation: generation, facts: facts)
    }

    /// With the rule of the room.
    private func policy(for room: RoomID) async throws(TokenExchangeRefusal) -> AccessPolicy {
        policy.inRoom(room, aliases: try await dependencies.aliases?.names(of: room) ?? [])
    }

    private func spend(of user: UserID, _ request: TokenRequest) throws(TokenExchangeRefusal) {
        try spend(.user, user.rawValue)
        if let device = request.device { try spend(.device, "\(user) \(device)") }
    }

    private func spend(_ scope: AccessLimits.RateScope, _ name: String) throws(TokenExchangeRefusal) {
        try rates.spend(scope, name, at: dependencies.clock.monotonic())
    }
}
