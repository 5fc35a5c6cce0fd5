// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("Revoked tokens")
struct RevokedTokensTests {
    static let now: Int64 = 1_790_000_000

    private func covers(
        _ revoked: RevokedTokens, room: String = "r", identity: String = "alice", issuedAt: Int64?, at time: Int64 = now
    ) -> Bool {
        revoked.covers(room: room, identity: identity, issuedAt: issuedAt, at: time)
    }

    @Test("tokens issued up to the removal are covered, later ones are not")
    func issueTime() {
        var revoked = RevokedTokens()
        #expect(!covers(revoked, issuedAt: Self.now))
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now)
        #expect(covers(revoked, issuedAt: Self.now - 3_600))
        #expect(covers(revoked, issuedAt: Self.now))
        #expect(!covers(revoked, issuedAt: Self.now + 1))
    }

    @Test("a token that does not say when it was issued is covered while the removal is remembered")
    func noIssueTime() {
        var revoked = RevokedTokens()
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now)
        #expect(covers(revoked, issuedAt: nil))
        #expect(covers(revoked, issuedAt: nil, at: Self.now + RevokedTokens.memorySeconds))
        #expect(!covers(revoked, issuedAt: nil, at: Self.now + RevokedTokens.memorySeconds + 1))
    }

    @Test("other rooms and identities are not meant")
    func others() {
        var revoked = RevokedTokens()
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now)
        #expect(!covers(revoked, room: "s", issuedAt: Self.now))
        #expect(!covers(revoked, identity: "bob", issuedAt: Self.now))
        // The two names are not one text.
        #expect(!covers(revoked, room: "ral", identity: "ice", issuedAt: Self.now))
    }

    @Test("a second removal covers what was issued since the first, and a clock set back undoes none")
    func again() {
        var revoked = RevokedTokens()
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now)
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now + 100)
        #expect(covers(revoked, issuedAt: Self.now + 100, at: Self.now + 100))
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now + 50)
        #expect(covers(revoked, issuedAt: Self.now + 100, at: Self.now + 100))
        #expect(revoked.count == 1)
    }

    @Test("removals are forgotten when no token can be as old, and beyond the limit the oldest first")
    func bounds() {
        var revoked = RevokedTokens(maximumCount: 3)
        for number in 0..<4 { revoked.revoke(room: "r", identity: "\(number)", issuedUpTo: Self.now + Int64(number)) }
        #expect(revoked.count == 3)
        #expect(!covers(revoked, identity: "0", issuedAt: Self.now))
        #expect(covers(revoked, identity: "1", issuedAt: Self.now))
        // Repeated, 1 is no longer the oldest.
        revoked.revoke(room: "r", identity: "1", issuedUpTo: Self.now + 10)
        revoked.revoke(room: "r", identity: "4", issuedUpTo: Self.now + 11)
        #expect(covers(revoked, identity: "1", issuedAt: Self.now))
        #expect(!covers(revoked, identity: "2", issuedAt: Self.now))
        revoked.revoke(room: "r", identity: "late", issuedUpTo: Self.now + 100 + RevokedTokens.memorySeconds)
        #expect(revoked.count == 1)
    }

    @Test("one participant removed without end takes the place of one")
    func repetition() {
        var revoked = RevokedTokens()
        for number in 0..<100_000 {
            revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now + Int64(number / 7))
        }
        #expect(revoked.count == 1)
        #expect(covers(revoked, issuedAt: Self.now + 14_285, at: Self.now + 14_285))
    }

    @Test("tokens of the removed session are covered whenever they were issued, others of the second are not")
    func signatures() {
        var revoked = RevokedTokens()
        func covers(_ signature: [UInt8], issuedAt: Int64) -> Bool {
            revoked.covers(room: "r", identity: "alice", issuedAt: issuedAt, signature: signature, at: Self.now)
        }
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now - 1, signatures: [[1], [2]])
        #expect(covers([1], issuedAt: Self.now) && covers([2], issuedAt: Self.now + 5))
        #expect(!covers([3], issuedAt: Self.now))
        #expect(covers([3], issuedAt: Self.now - 1))
        // Another session, removed in the same second.
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now - 1, signatures: [[3]])
        #expect(covers([1], issuedAt: Self.now) && covers([3], issuedAt: Self.now))
        #expect(!covers([4], issuedAt: Self.now))
        revoked.revoke(room: "r", identity: "alice", issuedUpTo: Self.now)
        #expect(covers([4], issuedAt: Self.now))
    }

    @Test("the claim that counts is iat, else nbf")
    func claims() {
        var claims = TokenClaims()
        #expect(claims.issuanceTime == nil)
        claims.notBefore = 5
        #expect(claims.issuanceTime == 5)
        claims.issuedAt = 7
        #expect(claims.issuanceTime == 7)
    }
}
