// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("Standing rights: changes that count for tokens from before")
struct StandingRightsTests {
    static let none = ParticipantRights(canPublish: false, canSubscribe: true, canPublishData: false)
    static let all = ParticipantRights(canPublish: true, canSubscribe: true, canPublishData: true)

    @Test("a token from before the change is covered, a later one is not")
    func coverage() {
        var standing = StandingRights()
        standing.change(room: "r", identity: "i", to: Self.none, at: 100)
        func rights(_ room: String = "r", _ identity: String = "i", issuedAt: Int64?, at now: Int64 = 101)
            -> ParticipantRights?
        {
            standing.rights(room: room, identity: identity, issuedAt: issuedAt, at: now)
        }
        #expect(rights(issuedAt: 99) == Self.none)
        #expect(rights(issuedAt: 100) == Self.none)
        #expect(rights(issuedAt: nil) == Self.none)
        #expect(rights(issuedAt: 101) == nil)
        #expect(rights("other", issuedAt: 99) == nil)
        #expect(rights("r", "other", issuedAt: 99) == nil)
        #expect(rights(issuedAt: 99, at: 101 + RevokedTokens.memorySeconds) == nil)
    }

    @Test("the last change counts, also when the clock was set back")
    func lastChange() {
        var standing = StandingRights()
        standing.change(room: "r", identity: "i", to: Self.none, at: 100)
        standing.change(room: "r", identity: "i", to: Self.all, at: 50)
        #expect(standing.rights(room: "r", identity: "i", issuedAt: 100, at: 100) == Self.all)
    }

    @Test("the table is bounded, and the oldest go first")
    func bound() {
        var standing = StandingRights(maximumCount: 16)
        for number in 0..<17 {
            standing.change(room: "r", identity: "\(number)", to: Self.none, at: Int64(number))
        }
        #expect(standing.count == 16)
        #expect(standing.rights(room: "r", identity: "0", issuedAt: 0, at: 20) == nil)
        #expect(standing.rights(room: "r", identity: "16", issuedAt: 0, at: 20) == Self.none)
    }
}
