// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Testing

@testable import MatrixBridge

@Suite("Ghosts: memberships whose client died")
struct GhostWatchTests {
    static let participant = FocusParticipant(room: "call", identity: "phone")

    static func member(joinedAt: Int64 = 1) -> GhostWatch.Watched {
        GhostWatch.Watched(
            entry: RosterEntry.ID(roomID: TransactionInboxTests.room, key: .state("k")), joinedAt: joinedAt,
            participant: participant)
    }

    @Test(
        "what counts as a ghost",
        arguments: [
            // time in milliseconds, joinedAt of the membership (0: none), present
            ("never seen in the focus", [(0, 1, false), (10_000, 1, false)], []),
            ("there all the time", [(0, 1, true), (10_000, 1, true)], []),
            ("gone for the grace", [(0, 1, true), (1_000, 1, false), (2_999, 1, false), (3_000, 1, false)], [3_000]),
            (
                "back within the grace",
                [(0, 1, true), (1_000, 1, false), (2_000, 1, true), (3_500, 1, false), (5_000, 1, false)], []
            ),
            ("left by itself", [(0, 1, true), (1_000, 1, false), (2_000, 0, false), (9_000, 1, false)], []),
            ("came anew, on its way", [(0, 1, true), (1_000, 1, false), (3_000, 2, false), (9_000, 2, false)], []),
            (
                "stays although it was cleared",
                [(0, 1, true), (1_000, 1, false), (4_000, 1, false), (5_000, 1, false), (14_000, 1, false)],
                [4_000, 14_000]
            ),
        ] as [(String, [(UInt64, Int64, Bool)], [UInt64])])
    func ghosts(name: String, looks: [(UInt64, Int64, Bool)], expected: [UInt64]) {
        var watch = GhostWatch()
        var found: [UInt64] = []
        for (time, joinedAt, isPresent) in looks {
            let members = joinedAt == 0 ? [] : [Self.member(joinedAt: joinedAt)]
            let now = MonotonicTime.zero.advanced(byMilliseconds: time)
            if !watch.ghosts(among: members, at: now, isPresent: { _ in isPresent }).isEmpty { found.append(time) }
        }
        #expect(found == expected)
    }

    @Test("it is not tried for ever")
    func attempts() {
        var watch = GhostWatch()
        var count = 0
        for second in 0..<1_000 {
            let now = MonotonicTime.zero.advanced(byMilliseconds: UInt64(second) * 1_000)
            count += watch.ghosts(among: [Self.member()], at: now, isPresent: { _ in second == 0 }).count
        }
        #expect(count == 5)
    }
}
