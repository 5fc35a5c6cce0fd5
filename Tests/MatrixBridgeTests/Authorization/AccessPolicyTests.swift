// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import MatrixBridge
import Testing

@Suite("Access policy")
struct AccessPolicyTests {
    static let local = Identifier.server("example.com")

    @Test("what each requirement makes of each knowledge")
    func admission() throws {
        let verdicts: [(AccessPolicy.MembershipRequirement, AccessPolicy.Membership, TokenExchangeRefusal.Reason?)] = [
            (.auto, .joined, nil), (.auto, .notJoined, .notJoined), (.auto, .notVisible, nil),
            (.auto, .lookupFailed("x"), .homeserverDown),
            (.always, .joined, nil), (.always, .notJoined, .notJoined), (.always, .notVisible, .membershipUnknown),
            (.always, .lookupFailed("x"), .homeserverDown),
            (.never, .joined, nil), (.never, .notJoined, nil), (.never, .notVisible, nil),
            (.never, .lookupFailed("x"), nil),
        ]
        for (requirement, membership, expected) in verdicts {
            let policy = AccessPolicy(localServer: Self.local, membershipRequirement: requirement)
            var reason: TokenExchangeRefusal.Reason?
            do throws(TokenExchangeRefusal) {
                try policy.admit(membership)
            } catch {
                reason = error.reason
            }
            #expect(reason == expected, "\(requirement), \(membership)")
        }
    }

    static let alice = Identifier.user("@alice:example.com")
    static let remote = Identifier.user("@rob:remote.test")

    /// Facts of a room in which both users have a level.
    static func facts(
        level: Int64, events: [String: Int64] = [:], stateDefault: Int64 = 50, isEncrypted: Bool = false,
    ) -> RoomFacts {
        var facts = RoomFacts()
        facts.isEncrypted = isEncrypted
        facts.authority.powerLevels = RoomPowerLevels([
            "users": .object([alice.rawValue: .integer(level), remote.rawValue: .integer(level)]),
            "events": .object(events.mapValues { .integer($0) }), "state_default": .integer(stateDefault),
        ])
        return facts
    }

    struct LevelCase: Sendable, CustomTestStringConvertible {
        var name: String
        var generation: RTCMembership.Generation
        var facts: RoomFacts
        var configure: @Sendable (inout GrantThresholds) -> Void = { _ in }
        var user = AccessPolicyTests.alice
        /// Publish, subscribe, data, administer; nil when refused.
        var expected: String?

        var testDescription: String { name }
    }

    static let callMember = "org.matrix.msc3401.call.member"
    static let levelCases: [LevelCase] = [
        .init(name: "state event at its default", generation: .sessionState, facts: facts(level: 0), expected: nil),
        .init(name: "level 50", generation: .sessionState, facts: facts(level: 50), expected: "psd-"),
        .init(
            name: "opened by the room", generation: .sessionState, facts: facts(level: 0, events: [callMember: 0]),
            expected: "psd-"),
        .init(
            name: "below zero", generation: .sessionState, facts: facts(level: -1, events: [callMember: 0]),
            expected: nil),
        .init(
            name: "raised by the room", generation: .sessionState, facts: facts(level: 50, events: [callMember: 75]),
            expected: nil),
        .init(
            name: "sticky events need no state level", generation: .stickyDraft, facts: facts(level: 0),
            expected: "psd-"),
        .init(
            name: "sticky type raised", generation: .stickyDraft,
            facts: facts(level: 0, events: ["org.matrix.msc4143.rtc.member": 10]), expected: nil),
        .init(
            name: "encrypted: the level of encrypted events", generation: .stickyDraft,
            facts: facts(level: 0, events: ["m.room.encrypted": 10], isEncrypted: true), expected: nil),
        .init(
            name: "final type", generation: .sticky, facts: facts(level: 0, events: ["m.rtc.member": 1]),
            expected: nil),
        .init(
            name: "listeners", generation: .sessionState, facts: facts(level: 0), configure: { $0.join = .any },
            expected: "-s--"),
        .init(
            name: "publish at 25", generation: .sessionState, facts: facts(level: 25),
            configure: {
                $0.join = .any
                $0.publish = .level(25)
                $0.data = .level(26)
            }, expected: "ps--"),
        .init(
            name: "subscribe never", generation: .sessionState, facts: facts(level: 50),
            configure: { $0.subscribe = .never }, expected: "p-d-"),
        .init(
            name: "administrators", generation: .sessionState, facts: facts(level: 100),
            configure: { $0.administer = .level(100) }, expected: "psda"),
        .init(
            name: "nobody", generation: .sessionState, facts: facts(level: 100), configure: { $0.join = .never },
            expected: nil),
        .init(
            name: "remote user in a call on one focus", generation: .sessionState, facts: facts(level: 50),
            user: remote, expected: "psd-"),
        .init(
            name: "remote user of a newer client", generation: .stickyDraft, facts: facts(level: 50), user: remote,
            expected: "-s--"),
    ]

    @Test("which level gives which rights", arguments: levelCases)
    func levels(_ entry: LevelCase) {
        var policy = AccessPolicy(localServer: Self.local)
        entry.configure(&policy.thresholds)
        var admitted = true
        do throws(TokenExchangeRefusal) {
            try policy.admit(entry.user, generation: entry.generation, facts: entry.facts)
        } catch {
            admitted = false
            #expect(error.reason == .levelTooLow)
            #expect(error.answer.status == 403)
        }
        #expect(admitted == (entry.expected != nil))
        guard let expected = entry.expected else { return }
        let rights = policy.rights(of: entry.user, generation: entry.generation, facts: entry.facts)
        let text = [
            rights.canPublish ? "p" : "-", rights.canSubscribe ? "s" : "-", rights.canPublishData ? "d" : "-",
            rights.canAdminister ? "a" : "-",
        ].joined()
        #expect(text == expected)
    }

    @Test("a room nobody may look into, and a policy that asks for nothing, know no levels")
    func unknownLevels() throws {
        let policy = AccessPolicy(localServer: Self.local)
        try policy.admit(Self.alice, generation: .sessionState, facts: nil)
        #expect(
            policy.rights(of: Self.alice, generation: .sessionState, facts: nil)
                == ParticipantRights(canPublish: true, canSubscribe: true, canPublishData: true))
        let open = AccessPolicy(localServer: Self.local, membershipRequirement: .never)
        #expect(open.rights(of: Self.alice, generation: .sessionState, facts: Self.facts(level: 0)).canPublish)
    }

    @Test("a refusal for the level carries its code, both levels, the event and the next step")
    func levelRefusal() throws {
        let policy = AccessPolicy(localServer: Self.local)
        let refusal = #expect(throws: TokenExchangeRefusal.self) {
            try policy.admit(Self.alice, generation: .sessionState, facts: Self.facts(level: 10))
        }
        let body = try #require(refusal).answer.body
        #expect(body["errcode"] == .string("M_FORBIDDEN"))
        #expect(body["callbridge.reason"] == .string("levelTooLow"))
        #expect(body["callbridge.level"] == .integer(10))
        #expect(body["callbridge.level_needed"] == .integer(50))
        #expect(body["callbridge.event_type"] == .string(Self.callMember))
        let sentence = try #require(body["error"]?.string)
        #expect(sentence.contains("50") && sentence.contains("10") && sentence.contains("ask a moderator"))
    }

    @Test("a closed room refuses everybody and names the room that took its place")
    func tombstone() throws {
        var facts = Self.facts(level: 100)
        let event = RoomEvent(
            type: "m.room.tombstone", sender: Self.alice, roomID: Identifier.room("!old"),
            eventID: try #require(EventID("$t")), stateKey: "", originServerTimestamp: 1,
            content: ["replacement_room": .string("!new")])
        guard case .tombstone(let tombstone) = CallEvent.decode(event) else {
            Issue.record("no tombstone")
            return
        }
        facts.tombstone = tombstone
        let policy = AccessPolicy(localServer: Self.local)
        let refusal = #expect(throws: TokenExchangeRefusal.self) {
            try policy.admit(Self.alice, generation: .sessionState, facts: facts)
        }
        #expect(try #require(refusal).answer.body["callbridge.replacement_room"] == .string("!new"))
    }

    @Test("thresholds are read from their texts", arguments: ["any", "call", "never", "0", "-5", "100"])
    func thresholdTexts(_ text: String) {
        #expect(GrantThresholds.Threshold(text)?.description == text)
        #expect(GrantThresholds.Threshold(text + "x") == nil)
    }

    @Test("only our own server has full access unless configured")
    func levels() {
        let policy = AccessPolicy(localServer: Self.local)
        #expect(policy.level(of: Self.local) == .full)
        #expect(policy.level(of: Identifier.server("remote.test")) == .restricted)
        #expect(policy.level(of: Identifier.server("EXAMPLE.com")) == .restricted)
    }
}
