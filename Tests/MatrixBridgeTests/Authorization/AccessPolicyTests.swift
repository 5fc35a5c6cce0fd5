// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

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

    @Test("only our own server has full access unless configured")
    func levels() {
        let policy = AccessPolicy(localServer: Self.local)
        #expect(policy.level(of: Self.local) == .full)
        #expect(policy.level(of: Identifier.server("remote.test")) == .restricted)
        #expect(policy.level(of: Identifier.server("EXAMPLE.com")) == .restricted)
    }
}
