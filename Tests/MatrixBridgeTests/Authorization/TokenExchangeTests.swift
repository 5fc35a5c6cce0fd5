// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Foundation
import MatrixBridge
import Testing

@Suite("Token exchange: OpenID in, LiveKit token out")
struct TokenExchangeTests {
    static let room = Identifier.room("!room:example.com")
    static let alice = Identifier.user("@alice:example.com")
    static let remote = Identifier.server("remote.test")
    static let device = Identifier.device("DEVICE123")

    let homeserver = FakeHomeserver()
    let focus = FakeFocus()
    let clock = ManualClock()
    let issued = IssuedIdentities()
    let delayedEvents = FakeDelayedEvents()

    func exchange(
        membership: AccessPolicy.MembershipRequirement = .auto,
        remotePublishing: AccessPolicy.RemotePublishing = .compatibility,
        fullAccess: AccessPolicy.FullAccess? = nil, secondRegistration: Bool = false,
        limits: AccessLimits = AccessLimits(), rules: [RoomRule] = [],
    ) -> TokenExchange {
        guard let keeper = try? DelayedLeaveKeeper.ofTests(focus, delayedEvents, clock) else {
            preconditionFailure("a database in memory opens")
        }
        let client = MatrixClient(
            transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken)
        let delegate = MatrixClient(
            transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.rtcToken)
        let discovery = ServerDiscovery(
            transport: homeserver, resolver: FakeResolver(), serversOnPrivateAddresses: [],
            now: clock.clock.monotonic)
        return TokenExchange(
            policy: AccessPolicy(
                localServer: FakeHomeserver.local, fullAccess: fullAccess, membershipRequirement: membership,
                remotePublishing: remotePublishing, limits: limits, rules: rules),
            focusURL: "wss://rtc.example.com/livekit/sfu",
            dependencies: .init(
                verifier: OpenIDVerifier(
                    transport: homeserver, federation: homeserver, discovery: discovery,
                    localServer: FakeHomeserver.local, localBaseURL: FakeHomeserver.localBaseURL + "/"),
                membership: MembershipCheck(
                    client: client, bot: FakeHomeserver.bot, delegate: secondRegistration ? delegate : nil),
                focus: focus,
                minter: JoinTokenMinter(key: APIKey(name: "key", secret: String(repeating: "s", count: 32))),
                issued: issued, delegation: DelayedLeaveDelegation(keeper: keeper, events: delayedEvents),
                clock: clock.clock))
    }

    static func compatibility(
        server: ServerName = FakeHomeserver.local, delegation: Bool = false, room: RoomID = room,
    ) -> TokenRequest {
        TokenRequest(
            room: room, form: .compatibility(device: device),
            openIDToken: .init(accessToken: "tok", server: server),
            delegation: delegation ? .init(delayID: "delay", delay: 8_000) : nil)
    }

    static func slot(server: ServerName = FakeHomeserver.local, claims user: UserID = alice) -> TokenRequest {
        TokenRequest(
            room: room, form: .slot("m.call#ROOM", memberID: "memberABC", device: device, claimedUser: user),
            openIDToken: .init(accessToken: "tok", server: server))
    }

    static func claims(_ answer: TokenExchange.Answer) throws -> JSONValue {
        let part = answer.jwt.split(separator: ".")[1].replacing("-", with: "+").replacing("_", with: "/")
        let padded = part + String(repeating: "=", count: (4 - part.count % 4) % 4)
        return try JSONValue.parse(Array(try #require(Data(base64Encoded: String(padded)))))
    }

    @Test("F1: a token the homeserver does not know is 401 M_UNAUTHORIZED", arguments: [compatibility(), slot()])
    func unknownToken(request: TokenRequest) async {
        let exchange = exchange()
        await #expect(throws: TokenExchangeRefusal.tokenNotValid) { try await exchange.answer { request } }
        #expect(TokenExchangeRefusal.tokenNotValid.matrixError.status == 401)
        #expect(TokenExchangeRefusal.tokenNotValid.matrixError.code == .unauthorized)
        #expect(exchange.refusals[.tokenNotValid] == 1)
        #expect(await focus.created.isEmpty)
    }

    @Test("F2: another user than claimed is 401")
    func otherUserThanClaimed() async {
        await homeserver.set("tok", belongsTo: "@mallory:example.com")
        await #expect(throws: TokenExchangeRefusal.userDiffersFromClaim) {
            try await exchange().answer { Self.slot() }
        }
        #expect(TokenExchangeRefusal.userDiffersFromClaim.matrixError.status == 401)
    }

    @Test("F3: a user of another server than the one that vouches is 401", arguments: [compatibility(), slot()])
    func userOfOtherServer(request: TokenRequest) async {
        await homeserver.set("tok", belongsTo: "@alice:elsewhere.test")
        await #expect(throws: TokenExchangeRefusal.userOfOtherServer) { try await exchange().answer { request } }
        #expect(TokenExchangeRefusal.userOfOtherServer.matrixError.status == 401)
    }

    @Test("a sub that is no user id is refused", arguments: ["alice", "", "@alice", "@alice:a/b"])
    func malformedSub(sub: String) async {
        await homeserver.set("tok", belongsTo: sub)
        await #expect(throws: TokenExchangeRefusal.lookupFailed("the answer names no user")) {
            try await exchange().answer { Self.compatibility() }
        }
    }

    @Test("F4: full access creates the room once and grants what the table says")
    func fullAccess() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        let answer = try await exchange().answer { Self.compatibility() }
        #expect(answer.url == "wss://rtc.example.com/livekit/sfu")
        #expect(await focus.created == ["krj2dgxw2K6EOm9he4GfQJ6JsSVWfJ8a7BkyjZcSmxs"])
        #expect(await focus.timeouts?.empty == 300)
        #expect(await focus.timeouts?.departure == 20)
        let claims = try Self.claims(answer)
        let now = clock.now / 1_000
        #expect(claims["iss"] == .string("key"))
        #expect(claims["sub"] == .string("@alice:example.com:DEVICE123"))
        #expect(claims["nbf"] == .integer(now))
        #expect(claims["iat"] == .integer(now))
        #expect(claims["exp"] == .integer(now + 3_600))
        let grant = try #require(claims["video"])
        #expect(grant["room"] == .string("krj2dgxw2K6EOm9he4GfQJ6JsSVWfJ8a7BkyjZcSmxs"))
        #expect(grant["roomJoin"] == .bool(true))
        #expect(grant["canPublish"] == .bool(true))
        #expect(grant["canSubscribe"] == .bool(true))
        #expect(grant["canUpdateOwnMetadata"] == .bool(false))
        #expect(grant["roomCreate"] == nil)
        #expect(grant["roomAdmin"] == nil)
        #expect(grant["hidden"] == nil)
    }

    @Test("the token opens with the verifier of the focus")
    func verifiable() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        let answer = try await exchange().answer { Self.slot() }
        let secret = String(repeating: "s", count: 32)
        let verifier = AccessTokenVerifier(keys: try APIKeySet(secrets: ["key": secret]))
        let claims = try verifier.verify(answer.jwt, now: clock.now / 1_000)
        #expect(claims.identity == "J+T45tGruxc+HrUOqJJlyQSV33m728Cme4+vt8/SWrU")
        #expect(claims.grant.roomJoin)
    }

    @Test("F5: a restricted server gets a token, no room, and publishes by policy")
    func restricted() async throws {
        await homeserver.set("tok", on: "https://remote.test:8448", belongsTo: "@bob:remote.test")
        let request = Self.slot(server: Self.remote, claims: Identifier.user("@bob:remote.test"))
        for (policy, mayPublish) in [
            (AccessPolicy.RemotePublishing.compatibility, false), (.always, true), (.never, false),
        ] {
            let answer = try await exchange(remotePublishing: policy).answer { request }
            #expect(try Self.claims(answer)["video"]?["canPublish"] == .bool(mayPublish))
        }
        let older = try await exchange().answer { Self.compatibility(server: Self.remote) }
        #expect(try Self.claims(older)["video"]?["canPublish"] == .bool(true))
        #expect(await focus.created.isEmpty)
    }

    @Test("a lone star gives every server full access")
    func everyone() async throws {
        await homeserver.set("tok", on: "https://remote.test:8448", belongsTo: "@bob:remote.test")
        _ = try await exchange(fullAccess: .everyone).answer { Self.compatibility(server: Self.remote) }
        #expect(await focus.created.count == 1)
    }

    @Test("a full-access user may hand over a delayed leave; another's is refused so that the client tries without")
    func delegation() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        _ = try await exchange().answer { Self.compatibility(delegation: true) }
        await delayedEvents.find(.unknown)
        await #expect(throws: TokenExchangeRefusal.delayedEventUnknown) {
            try await exchange().answer { Self.compatibility(delegation: true) }
        }
        #expect(TokenExchangeRefusal.delayedEventUnknown.matrixError.status == 400)
        #expect(TokenExchangeRefusal.delayedEventUnknown.matrixError.code == .badJSON)
    }

    @Test("F6: delay fields of a restricted server are refused before anybody is asked")
    func restrictedDelegation() async {
        let exchange = exchange()
        await #expect(throws: TokenExchangeRefusal.delegationNotAllowed) {
            try await exchange.answer { Self.compatibility(server: Self.remote, delegation: true) }
        }
        await #expect(throws: TokenExchangeRefusal.delegationNotAllowed) {
            try await exchange.delegate { Self.compatibility(server: Self.remote, delegation: true) }
        }
        #expect(TokenExchangeRefusal.delegationNotAllowed.matrixError.status == 400)
        #expect(TokenExchangeRefusal.delegationNotAllowed.matrixError.code == .badJSON)
        #expect(await homeserver.requests.isEmpty)
    }

    @Test("F11: two users of one slot get one room, two identities, and the same after a restart")
    func stableNames() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        let first = try Self.claims(try await exchange().answer { Self.slot() })
        let again = try Self.claims(try await exchange().answer { Self.slot() })
        await homeserver.set("tok", belongsTo: "@carol:example.com")
        let second = try Self.claims(
            try await exchange().answer { Self.slot(claims: Identifier.user("@carol:example.com")) })
        #expect(first["video"]?["room"] == second["video"]?["room"])
        #expect(first["sub"] != second["sub"])
        #expect(first["sub"] == again["sub"])
        #expect(first["video"]?["room"] == again["video"]?["room"])
    }

    @Test("F12: who is not joined is refused as soon as anybody can see the room")
    func notJoined() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        _ = try await exchange().answer { Self.compatibility() }
        await #expect(throws: TokenExchangeRefusal.membershipUnknown) {
            try await exchange(membership: .always).answer { Self.compatibility() }
        }
        // With the second registration, which sees every room.
        await #expect(throws: TokenExchangeRefusal.notJoined) {
            try await exchange(secondRegistration: true).answer { Self.compatibility() }
        }
        // With the bot in the room.
        await homeserver.join(FakeHomeserver.bot, Self.room)
        await #expect(throws: TokenExchangeRefusal.notJoined) { try await exchange().answer { Self.compatibility() } }
        _ = try await exchange(membership: .never).answer { Self.compatibility() }
        await homeserver.join(Self.alice, Self.room)
        _ = try await exchange(membership: .always).answer { Self.compatibility() }
        _ = try await exchange(membership: .always, secondRegistration: true).answer { Self.compatibility() }
        #expect(TokenExchangeRefusal.notJoined.matrixError.status == 403)
        #expect(TokenExchangeRefusal.notJoined.matrixError.code == .forbidden)
    }

    @Test(
        "our homeserver being down is 502, not a wrong token",
        arguments: [HTTPClientError.timedOut, .nameNotResolved, .connectionFailed("refused")])
    func homeserverDown(error: HTTPClientError) async {
        await homeserver.answer("hs.internal", with: .failure(error))
        await #expect(throws: TokenExchangeRefusal.homeserverDown(error.description)) {
            try await exchange().answer { Self.compatibility() }
        }
        #expect(TokenExchangeRefusal.homeserverDown("").matrixError.status == 502)
    }

    @Test("our homeserver failing after the verification is 502 where membership matters")
    func homeserverDownForMembership() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        await homeserver.answer("joined", with: .success(.error(503, "M_UNKNOWN")))
        let refusal = await #expect(throws: TokenExchangeRefusal.self) {
            try await exchange().answer { Self.compatibility() }
        }
        #expect(refusal?.reason == .homeserverDown)
        _ = try await exchange(membership: .never).answer { Self.compatibility() }
    }

    @Test("another server that cannot be asked is 401")
    func remoteDown() async {
        let refusal = await #expect(throws: TokenExchangeRefusal.self) {
            try await exchange().answer { Self.compatibility(server: Identifier.server("gone.test")) }
        }
        #expect(refusal?.reason == .lookupFailed || refusal?.reason == .tokenNotValid)
        #expect(refusal?.matrixError.status == 401)
    }

    @Test("a focus that cannot create the room is 500 and no token is issued")
    func roomCreationFails() async {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        await focus.fail()
        await #expect(throws: TokenExchangeRefusal.roomCreationFailed) {
            try await exchange().answer { Self.compatibility() }
        }
        #expect(issued.remove(user: Self.alice, from: Self.room).isEmpty)
    }

    @Test("shutting down is 503")
    func shuttingDown() async {
        let exchange = exchange()
        await exchange.shutDown()
        await #expect(throws: TokenExchangeRefusal.shuttingDown) { try await exchange.answer { Self.compatibility() } }
        #expect(TokenExchangeRefusal.shuttingDown.matrixError.status == 503)
    }

    @Test("a user who asks too often is told when to come back, and others are not held up")
    func rateLimit() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        let exchange = exchange()
        for _ in 0..<20 { _ = try await exchange.answer { Self.compatibility() } }
        await #expect(throws: TokenExchangeRefusal.rateLimited(retryAfterMilliseconds: 1_000, scope: .user)) {
            try await exchange.answer { Self.compatibility() }
        }
        #expect(TokenExchangeRefusal.rateLimited(retryAfterMilliseconds: 5).matrixError.status == 429)
        await homeserver.set("tok", belongsTo: "@carol:example.com")
        _ = try await exchange.answer { Self.compatibility() }
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        clock.advance(milliseconds: 1_000)
        _ = try await exchange.answer { Self.compatibility() }
    }

    @Test(
        "devices, rooms and other homeservers have rates of their own",
        arguments: [AccessLimits.RateScope.device, .room, .homeserver])
    func scopedRates(scope: AccessLimits.RateScope) async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        await homeserver.set("tok", on: "https://remote.test:8448", belongsTo: "@bob:remote.test")
        var limits = AccessLimits.unlimited
        switch scope {
        case .device: limits.tokensPerDevice = 6
        case .room: limits.tokensPerRoom = 6
        default: limits.tokensPerHomeserver = 20
        }
        let exchange = exchange(limits: limits)
        let request = Self.compatibility(server: scope == .homeserver ? Self.remote : FakeHomeserver.local)
        for _ in 0..<2 { _ = try await exchange.answer { request } }
        let wait: UInt64 = scope == .homeserver ? 3_000 : 10_000
        await #expect(throws: TokenExchangeRefusal.rateLimited(retryAfterMilliseconds: wait, scope: scope)) {
            try await exchange.answer { request }
        }
        clock.advance(milliseconds: wait)
        _ = try await exchange.answer { request }
    }

    @Test("a device in too many calls is refused while it is there, and else its older tokens become void")
    func callsAtATime() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        var limits = AccessLimits.unlimited
        limits.callsPerDevice = 1
        let exchange = exchange(limits: limits)
        let second = Self.compatibility(room: Identifier.room("!second:example.com"))
        _ = try await exchange.answer { Self.compatibility() }
        let refusal = TokenExchangeRefusal.limitReached(.callsOfDevice, limit: 1)
        await #expect(throws: refusal) { try await exchange.answer { second } }
        let first = FocusParticipant(
            room: Self.compatibility().liveKitRoom, identity: Self.compatibility().liveKitIdentity(of: Self.alice))
        await focus.enter(first)
        clock.advance(milliseconds: 30_001)
        await #expect(throws: refusal) { try await exchange.answer { second } }
        #expect(await focus.created == [first.room], "whoever is refused makes no room")
        await focus.exit(first)
        _ = try await exchange.answer { second }
        #expect(await focus.removed == [first])
        #expect(issued.holders(of: Self.alice).map(\.room) == [second.room])
    }

    @Test("a room that is full lets nobody in but those who are there")
    func fullRoom() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        var rule = RoomRule(.room(Self.room))
        rule.maximumParticipants = 1
        let exchange = exchange(rules: [rule])
        let request = Self.compatibility()
        _ = try await exchange.answer { request }
        #expect(await focus.maximumParticipants == 1)
        await focus.enter(FocusParticipant(room: request.liveKitRoom, identity: "somebody"))
        await #expect(throws: TokenExchangeRefusal.limitReached(.participantsOfRoom, limit: 1)) {
            try await exchange.answer { request }
        }
        await focus.enter(
            FocusParticipant(room: request.liveKitRoom, identity: request.liveKitIdentity(of: Self.alice)))
        _ = try await exchange.answer { request }
    }

    @Test("a rule for the room counts where nothing is known of it, and where nobody need be a member")
    func roomRule() async throws {
        await homeserver.set("tok", belongsTo: Self.alice.rawValue)
        var rule = RoomRule(.pattern(NamePattern("!*:example.com")))
        rule.allowsCalls = false
        for membership in [AccessPolicy.MembershipRequirement.auto, .never] {
            await #expect(throws: TokenExchangeRefusal.callsNotAllowed(rule: "!*:example.com")) {
                try await exchange(membership: membership, rules: [rule]).answer { Self.compatibility() }
            }
        }
        _ = try await exchange(rules: [rule]).answer { Self.compatibility(room: Identifier.room("!new")) }
    }

    @Test("neither answer nor refusal holds the OpenID token, and it is escaped in the URL")
    func tokenStaysInside() async {
        let request = TokenRequest(
            room: Self.room, form: .compatibility(device: Self.device),
            openIDToken: .init(accessToken: "a&b=c/d?e#f", server: FakeHomeserver.local))
        let refusal = await #expect(throws: TokenExchangeRefusal.self) { try await exchange().answer { request } }
        #expect(refusal?.matrixError.message.contains("a&b") == false)
        #expect(await homeserver.requests.first?.url.hasSuffix("?access_token=a%26b%3Dc%2Fd%3Fe%23f") == true)
    }
}
