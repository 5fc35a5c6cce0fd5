// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

/// Memberships with homeservers and rooms in which things go wrong for long.
extension LegMembershipTests {
    @Test("M5: restarts that fail are repeated before the delay is over, so that a short absence takes nobody out")
    func restartsFailForAWhile() {
        var bed = Bed.joined()
        var lastTry: Milliseconds = 0
        for _ in 0..<120 {
            bed.now += 1_000
            bed.membership.observe(bed.eventID, at: bed.now)
            guard let request = bed.membership.nextRequest(at: bed.now, unixTime: bed.unixTime) else { continue }
            #expect(request == .restart(delayID: "delay-1"))
            if lastTry > 0 { #expect(bed.now - lastTry <= 10_000) }
            lastTry = bed.now
            bed.membership.answered(.failed, at: bed.now)
        }
        #expect(lastTry >= 110_000)
    }

    @Test("M6, M8: an announcement that is repaired again and again is renewed all the same before it expires")
    func repairedAndRenewed() {
        var bed = Bed.joined()
        for _ in 0..<12 {
            bed.pass(seconds: 1_800)
            bed.membership.observe(nil, at: bed.now)
            bed.work()
        }
        let expires = bed.log.compactMap { request -> Milliseconds? in
            if case .announce(Self.created, let expires) = request { expires } else { nil }
        }
        #expect(expires.last.map { $0 > Self.period } == true)
        #expect(expires == expires.sorted())
        #expect((expires.last ?? 0) > bed.now)
    }

    @Test("one that shall join anew, and is told to leave before, takes back what may stand")
    func rejoinsAndLeaves() {
        let record = LegMembership.Record(delayID: "old", createdAt: Self.created - 60_000, expires: Self.period)
        var bed = Bed()
        bed.membership = LegMembership(resuming: record, rejoins: true)
        bed.membership.leave()
        bed.answers = [.gone]
        bed.work()
        #expect(bed.log == [.sendLeave(delayID: "old"), .leave])
        bed = Bed()
        bed.membership = LegMembership(resuming: record, rejoins: true)
        bed.work()
        #expect(bed.log == [.restart(delayID: "old"), Self.announcement])
    }
}
