// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Testing

@testable import MatrixBridge

@Suite("Rules for rooms")
struct RoomRuleTests {
    static let alice = Identifier.user("@alice:example.com")
    static let hall = Identifier.room("!hall:example.com")
    static let callMember = AccessPolicyTests.callMember

    @Test(
        "patterns",
        arguments: [
            ("*", "", true), ("*", "x", true), ("a", "a", true), ("a", "ab", false), ("a*", "ab", true),
            ("*b", "ab", true), ("a*b", "ab", true), ("a*b", "a-b-b", true), ("a*b", "aa", false),
            ("ab*ba", "aba", false),
            ("@*:example.com", "@alice:example.com", true), ("@*:example.com", "@alice:example.com.evil", false),
            ("a*c*e", "abcde", true), ("a*c*e", "aec", false), ("**", "x", true), ("!*:x", "!r:y", false),
            ("é", "e\u{301}", false),
        ] as [(String, String, Bool)])
    func patterns(pattern: String, name: String, expected: Bool) {
        #expect(NamePattern(pattern).matches(name) == expected)
    }

    @Test(
        "places",
        arguments: [
            ("!hall:example.com", true), ("!other", false), ("#hall:example.com", true), ("#other:example.com", false),
            ("!*:example.com", true), ("!*:other.test", false), ("*", true),
        ])
    func places(text: String, expected: Bool) throws {
        let rule = RoomRule(try #require(RoomRule.Place(text)))
        let alias = try #require(RoomAlias("#hall:example.com"))
        #expect(rule.place.description == text)
        #expect(rule.fits(Self.hall, aliases: [alias]) == expected)
    }

    @Test("what is no place", arguments: ["", "hall", "#hall", "#*:example.com", "@alice:example.com", "hall*", "!"])
    func noPlace(text: String) {
        #expect(RoomRule.Place(text) == nil)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var rules: [RoomRule]
        var user = RoomRuleTests.alice
        var level: Int64 = 0
        /// As in the table of levels: publish, subscribe, data, administer.
        var rights: String?
        var reason: TokenExchangeRefusal.Reason?

        var testDescription: String { name }
    }

    static func rule(_ place: RoomRule.Place = .room(hall), _ change: (inout RoomRule) -> Void) -> RoomRule {
        var rule = RoomRule(place)
        change(&rule)
        return rule
    }

    static let cases: [Case] = [
        Case(name: "no rule", rules: [], rights: "psd-"),
        Case(
            name: "a rule for another room", rules: [rule(.room(Identifier.room("!x"))) { $0.allowsCalls = false }],
            rights: "psd-"),
        Case(name: "no calls", rules: [rule { $0.allowsCalls = false }], level: 100, reason: .callsNotAllowed),
        Case(
            name: "the first that fits counts",
            rules: [rule { $0.thresholds.publish = .never }, rule { $0.allowsCalls = false }], rights: "-sd-"),
        Case(
            name: "only some users", rules: [rule { $0.users = [NamePattern("@bob:*"), NamePattern("@carol:*")] }],
            level: 100, reason: .userNotAllowed),
        Case(name: "users of a server", rules: [rule { $0.users = [NamePattern("@*:example.com")] }], rights: "psd-"),
        Case(name: "a speaker's level", rules: [rule { $0.thresholds.publish = .level(50) }], rights: "-sd-"),
        Case(
            name: "a speaker", rules: [rule { $0.thresholds.publish = .level(50) }], level: 50, rights: "psd-"),
        Case(
            name: "a level to join", rules: [rule { $0.thresholds.join = .level(10) }], level: 9, reason: .levelTooLow),
    ]

    @Test("what rules make of a user", arguments: cases)
    func table(_ entry: Case) throws {
        let policy = AccessPolicy(localServer: AccessPolicyTests.local, rules: entry.rules).inRoom(Self.hall)
        let facts = AccessPolicyTests.facts(level: entry.level, events: [Self.callMember: 0])
        do throws(TokenExchangeRefusal) {
            try policy.admit(entry.user)
            try policy.admit(entry.user, generation: .sessionState, facts: facts)
            let rights = policy.rights(of: entry.user, generation: .sessionState, facts: facts)
            let text = [
                rights.canPublish ? "p" : "-", rights.canSubscribe ? "s" : "-", rights.canPublishData ? "d" : "-",
                rights.canAdminister ? "a" : "-",
            ].joined()
            #expect(text == entry.rights)
        } catch {
            #expect(error.reason == entry.reason)
            #expect(error.answer.status == 403)
            let isOfRule = error.reason != .levelTooLow
            #expect((error.answer.body["callbridge.rule"] == .string(Self.hall.rawValue)) == isOfRule)
        }
    }

    @Test("the room's own limit stands in place of that of all")
    func participants() {
        var policy = AccessPolicy(localServer: AccessPolicyTests.local)
        policy.limits.participantsPerRoom = 20
        policy.rules = [Self.rule { $0.maximumParticipants = 0 }, Self.rule(.pattern(NamePattern("*"))) { _ in }]
        #expect(policy.inRoom(Self.hall).limits.participantsPerRoom == 0)
        #expect(policy.inRoom(Identifier.room("!x")).limits.participantsPerRoom == 20)
    }

    @Test("aliases are asked for once in a while, kept through trouble, and never forgotten at a start")
    func aliases() async throws {
        let (homeserver, clock) = (FakeHomeserver(), ManualClock())
        let client = MatrixClient(
            transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: FakeHomeserver.asToken)
        let alias = try #require(RoomAlias("#hall:example.com"))
        let book = RoomAliasBook(aliases: [alias], client: client, clock: clock.clock)
        await homeserver.answer("/directory/room/", with: .success(.error(503, "M_UNKNOWN")))
        await #expect(throws: TokenExchangeRefusal.self) { try await book.names(of: Self.hall) }
        clock.advance(milliseconds: RoomAliasBook.retryMilliseconds)
        await homeserver.answer(
            "/directory/room/", with: .success(.json(.object(["room_id": .string(Self.hall.rawValue)]))))
        #expect(try await book.names(of: Self.hall) == [alias])
        #expect(try await book.names(of: Identifier.room("!x")) == [])
        #expect(await homeserver.requestCount(of: "/directory/room/%23hall%3Aexample.com") == 2)
        clock.advance(milliseconds: RoomAliasBook.freshMilliseconds)
        await homeserver.answer("/directory/room/", with: .failure(.timedOut))
        #expect(try await book.names(of: Self.hall) == [alias])
        clock.advance(milliseconds: RoomAliasBook.retryMilliseconds)
        await homeserver.answer("/directory/room/", with: .success(.error(404, "M_NOT_FOUND")))
        #expect(try await book.names(of: Self.hall) == [])
        #expect(book.known(of: Self.hall).isEmpty)
    }
}
