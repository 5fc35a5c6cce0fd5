// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
package import FocusSFU

/// How often anybody may call, and how often anybody is told no. Beyond that there is silence. Sans-IO.
package struct LegacyCallRates: Sendable {
    private let local: ServerName
    private var calls = RequestRate(burst: 5, perSecond: 0.1, maximumNames: 1_024)
    private var rings = RequestRate(burst: 5, perSecond: 0.1, maximumNames: 1_024)
    /// Above those of the users of other homeservers, so that none of these takes all places for names.
    private var servers = RequestRate(burst: 30, perSecond: 1, maximumNames: 256)
    private var refusals = RequestRate(burst: 5, perSecond: 0.1, maximumNames: 256)

    package init(local: ServerName) {
        self.local = local
    }

    /// What becomes of an invite about which the policy says `refusal`; nil lets it in.
    package mutating func spend(
        _ caller: UserID, refusal: LegacyCallRefusal?, at now: MonotonicTime,
    ) -> LegacyCallRefusal? {
        let server = caller.serverName
        if let refusal { return refusals.spend(server.rawValue, at: now) == nil ? refusal : .rateLimited }
        guard server == local || servers.spend(server.rawValue, at: now) == nil else { return .rateLimited }
        return calls.spend(caller.rawValue, at: now) == nil ? nil : .rateLimited
    }

    /// - Returns: false when a user wants to be called too often.
    package mutating func spendRing(_ user: UserID, at now: MonotonicTime) -> Bool {
        rings.spend(user.rawValue, at: now) == nil
    }
}
