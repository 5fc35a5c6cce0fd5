// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import MatrixBridge
import Testing

@Suite("Limits of user, device, room and homeserver")
struct AccessLimitsTests {
    static let local = Identifier.server("example.com")
    static let alice = "@alice:example.com"
    static let rob = "@rob:remote.test"
    static let now: UnixMilliseconds = 1_000_000

    /// A use as a text: user, device, call, and whether it is here, fresh (not here, token just issued) or idle.
    struct Use: Sendable {
        var user = AccessLimitsTests.alice
        var device: String? = "PHONE"
        var call: String
        var state = State.here

        enum State: Sendable {
            case here, fresh, idle
        }

        var value: AccessLimits.Use {
            AccessLimits.Use(
                participant: FocusParticipant(room: call, identity: "\(user) \(device ?? "-")"),
                user: Identifier.user(user), device: device.map(Identifier.device),
                issuedAt: state == .idle ? now - 30_001 : now - 30_000, isPresent: state == .here)
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var configure: @Sendable (inout AccessLimits) -> Void
        var wanted: Use
        var uses: [Use] = []
        /// Calls whose participants become void.
        var voided: [String] = []
        var refused: AccessLimits.Subject?

        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "nothing in use", configure: { $0.callsPerUser = 1 }, wanted: Use(call: "a")),
        Case(
            name: "the same participant again", configure: { $0.callsPerDevice = 1 }, wanted: Use(call: "a"),
            uses: [Use(call: "a")]),
        Case(
            name: "one device in a second call", configure: { $0.callsPerDevice = 1 }, wanted: Use(call: "b"),
            uses: [Use(call: "a")], refused: .callsOfDevice),
        Case(
            name: "another device in a second call", configure: { $0.callsPerDevice = 1 },
            wanted: Use(device: "LAPTOP", call: "b"), uses: [Use(call: "a")]),
        Case(
            name: "the device of another user has the same name", configure: { $0.callsPerDevice = 1 },
            wanted: Use(call: "b"), uses: [Use(user: "@bob:example.com", call: "a")]),
        Case(
            name: "a client that names no device", configure: { $0.callsPerDevice = 1 },
            wanted: Use(device: nil, call: "b"), uses: [Use(device: nil, call: "a")]),
        Case(
            name: "a user in a third call", configure: { $0.callsPerUser = 2 }, wanted: Use(device: "C", call: "c"),
            uses: [Use(device: "A", call: "a"), Use(device: "B", call: "b")], refused: .callsOfUser),
        Case(
            name: "a second device in a call that counts already", configure: { $0.callsPerUser = 2 },
            wanted: Use(device: "C", call: "b"), uses: [Use(device: "A", call: "a"), Use(device: "B", call: "b")]),
        Case(
            name: "a call that was left gives way", configure: { $0.callsPerUser = 2 }, wanted: Use(call: "c"),
            uses: [Use(call: "a", state: .idle), Use(call: "b")], voided: ["a"]),
        Case(
            name: "not a call in which one device still is", configure: { $0.callsPerUser = 1 },
            wanted: Use(call: "b"), uses: [Use(call: "a", state: .idle), Use(device: "LAPTOP", call: "a")],
            refused: .callsOfUser),
        Case(
            name: "tokens cannot be gathered: fresh ones count", configure: { $0.callsPerUser = 2 },
            wanted: Use(call: "c"), uses: [Use(call: "a", state: .fresh), Use(call: "b", state: .fresh)],
            refused: .callsOfUser),
        Case(
            name: "tokens cannot be gathered: old ones become void", configure: { $0.callsPerUser = 1 },
            wanted: Use(call: "c"), uses: [Use(call: "a", state: .idle), Use(call: "b", state: .idle)],
            voided: ["a", "b"]),
        Case(
            name: "devices of one user", configure: { $0.participantsPerUser = 2 }, wanted: Use(device: "C", call: "a"),
            uses: [Use(device: "A", call: "a"), Use(device: "B", call: "a")], refused: .participantsOfUser),
        Case(
            name: "a device that left gives way", configure: { $0.participantsPerUser = 2 },
            wanted: Use(device: "C", call: "a"),
            uses: [Use(device: "A", call: "a"), Use(device: "B", call: "b", state: .idle)], voided: ["b"]),
        Case(
            name: "another homeserver in a second call", configure: { $0.callsPerHomeserver = 1 },
            wanted: Use(user: rob, call: "b"), uses: [Use(user: "@ria:remote.test", call: "a")],
            refused: .callsOfHomeserver),
        Case(
            name: "our own homeserver has no such limit", configure: { $0.callsPerHomeserver = 1 },
            wanted: Use(call: "b"), uses: [Use(user: "@bob:example.com", call: "a")]),
        Case(
            name: "devices of another homeserver", configure: { $0.participantsPerHomeserver = 1 },
            wanted: Use(user: rob, call: "a"), uses: [Use(user: "@ria:remote.test", call: "a")],
            refused: .participantsOfHomeserver),
        Case(
            name: "a third homeserver does not count", configure: { $0.participantsPerHomeserver = 1 },
            wanted: Use(user: rob, call: "a"), uses: [Use(user: "@kim:third.test", call: "a")]),
        Case(
            name: "no limits", configure: { _ in }, wanted: Use(user: rob, call: "z"),
            uses: (0..<300).map { Use(user: rob, call: "\($0)") }),
    ]

    @Test("who may have one more", arguments: cases)
    func table(_ entry: Case) {
        var limits = AccessLimits.unlimited
        entry.configure(&limits)
        var refused: AccessLimits.Subject?
        var voided: [AccessLimits.Use] = []
        do throws(TokenExchangeRefusal) {
            voided = try limits.verdict(
                on: entry.wanted.value, among: entry.uses.map(\.value), localServer: Self.local, at: Self.now)
        } catch .limitReached(let subject, let limit) {
            refused = subject
            #expect(limit > 0)
        } catch {
            Issue.record("\(error)")
        }
        #expect(refused == entry.refused)
        #expect(voided.map(\.participant.room) == entry.voided)
    }

    @Test("each limit is refused with reason, number and next step", arguments: AccessLimits.Subject.allCases)
    func refusals(_ subject: AccessLimits.Subject) throws {
        let answer = TokenExchangeRefusal.limitReached(subject, limit: 7).answer
        #expect(answer.status == 403 && answer.code == .forbidden)
        #expect(answer.body["callbridge.reason"] == .string("limitReached"))
        #expect(answer.body["callbridge.subject"] == .string(subject.rawValue))
        #expect(answer.body["callbridge.limit"] == .integer(7))
        let sentence = try #require(answer.body["error"]?.string)
        #expect(sentence.contains("allows 7 ") && sentence.contains("; "))
    }

    @Test("each rate is refused with whose it is and when to come back", arguments: AccessLimits.RateScope.allCases)
    func rates(_ scope: AccessLimits.RateScope) {
        let answer = TokenExchangeRefusal.rateLimited(retryAfterMilliseconds: 1_500, scope: scope).answer
        #expect(answer.status == 429 && answer.code == .limitExceeded)
        #expect(answer.body["callbridge.scope"] == .string(scope.rawValue))
        #expect(answer.body["retry_after_ms"] == .integer(1_500))
        #expect(answer.body["error"]?.string?.contains("try again in 2 s") == true)
    }
}
