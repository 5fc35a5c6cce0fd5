// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Where a call arrives, as far as it decides whether it is answered.
package struct LegacyCallPlace: Equatable, Sendable {
    /// Whether anybody may come in.
    package var isPublic: Bool
    package var joinedCount: Int
    /// What is not encrypted did not come from a member's device.
    package var isEncrypted: Bool

    package init(isPublic: Bool, joinedCount: Int, isEncrypted: Bool = false) {
        self.isPublic = isPublic
        self.joinedCount = joinedCount
        self.isEncrypted = isEncrypted
    }
}

/// How many calls there may be, and how long anything may take. Times in milliseconds.
package struct LegacyCallLimits: Equatable, Sendable {
    /// Calls at a time; none are answered with 0.
    package var maximumCalls = 10
    /// Calls of one user at a time, in whatever rooms.
    package var maximumCallsOfUser = 1
    /// How long a call may last.
    package var maximumDuration: Milliseconds = 600_000
    /// An invite that rings no longer than this is not worth an answer.
    package var leastLifetime: Milliseconds = 3_000
    /// How long media may take to come up after our answer.
    package var connectionTimeout: Milliseconds = 30_000
    /// People in a room in which we answer, ourselves included: anybody there could take the call.
    package var maximumJoined = 2
    /// How long the hang-up of a peer that closed its connection may be on its way.
    package var hangupGrace: Milliseconds = 10_000

    /// Calls of the users of one other homeserver at a time.
    package var maximumCallsOfOtherServer: Int { max(1, maximumCalls / 2) }

    package init() {}
}
