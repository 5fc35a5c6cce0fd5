// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Memberships of our own legs")
struct LegMembershipTests {
    typealias Request = LegMembership.Request
    typealias Answer = LegMembership.Answer

    static let created = EventSamples.now
    static let period: Milliseconds = 14_400_000

    /// A homeserver that takes everything, unless told otherwise, and a clock.
    struct Bed {
        var membership: LegMembership
        var now: Milliseconds = 1_000
        var scheduled = 0
        var announced = 0
        var log: [Request] = []
        /// The next answers, instead of the usual.
        var answers: [Answer] = []

        init(resuming record: LegMembership.Record = .init(), wantsIn: Bool = true) {
            membership = LegMembership(resuming: record, wantsIn: wantsIn)
        }

        var unixTime: UnixMilliseconds { LegMembershipTests.created + now - 1_000 }
        var eventID: EventID? { EventID("$event-\(announced)") }

        /// Everything that is due now.
        mutating func work() {
            while let request = membership.nextRequest(at: now, unixTime: unixTime) {
                log.append(request)
                membership.answered(answers.isEmpty ? usual(request) : answers.removeFirst(), at: now)
            }
        }

        private mutating func usual(_ request: Request) -> Answer {
            switch request {
            case .scheduleLeave:
                scheduled += 1
                return .scheduled(delayID: "delay-\(scheduled)")
            case .announce:
                announced += 1
                return eventID.map { .announced($0) } ?? .failed
            case .restart, .sendLeave, .leave: return .done
            }
        }

        /// Lets time pass in steps of a second; the room shows what was announced.
        mutating func pass(seconds: Int) {
            for _ in 0..<seconds {
                now += 1_000
                membership.observe(eventID, at: now)
                work()
            }
        }

        mutating func takeLog() -> [Request] {
            defer { log = [] }
            return log
        }

        static func joined() -> Bed {
            var bed = Bed()
            bed.work()
            bed.membership.observe(bed.eventID, at: bed.now)
            bed.log = []
            return bed
        }
    }

    static let announcement = Request.announce(createdAt: created, expires: period)

    @Test("M1: the delayed leave is scheduled, the state is sent, the delay begins anew at once, in that order")
    func joining() {
        var bed = Bed()
        bed.work()
        #expect(bed.log == [.scheduleLeave(delay: 30_000), Self.announcement, .restart(delayID: "delay-1")])
        #expect(bed.membership.isIn)
        bed.pass(seconds: 30)
        #expect(bed.takeLog().dropFirst(3) == .init(repeating: .restart(delayID: "delay-1"), count: 3))
        #expect(bed.membership.takeNotices().isEmpty)
    }

    @Test("M2: without delayed events the state is sent all the same, with a warning; leaving is a plain leave")
    func unsupported() {
        var bed = Bed()
        bed.answers = [.unsupported]
        bed.work()
        #expect(bed.takeLog() == [.scheduleLeave(delay: 30_000), Self.announcement])
        #expect(bed.membership.takeNotices() == [.delayedEventsUnsupported])
        bed.pass(seconds: 60)
        #expect(bed.takeLog().isEmpty)
        bed.membership.leave()
        bed.work()
        #expect(bed.log == [.leave])
        #expect(bed.membership.outcome == .left)
    }

    @Test(
        "M3: too many requests are waited for as long as the homeserver says, or a growing while",
        arguments: [(2_500, 2_500), (nil, 1_000), (9_000_000, 600_000), (-5, 0)] as [(Milliseconds?, Milliseconds)])
    func limited(asked: Milliseconds?, waited: Milliseconds) {
        var bed = Bed()
        bed.answers = [.limited(retryAfter: asked)]
        _ = bed.membership.nextRequest(at: bed.now, unixTime: bed.unixTime)
        bed.membership.answered(bed.answers.removeFirst(), at: bed.now)
        bed.now += max(0, waited - 1)
        if waited > 0 { bed.work() }
        #expect(bed.log.isEmpty)
        bed.now += 1
        bed.work()
        #expect(bed.log.first == .scheduleLeave(delay: 30_000))
        #expect(bed.membership.isIn)
    }

    @Test(
        "M4: a delay that is too long is ordered again as the homeserver permits, and restarted in time for it",
        arguments: [
            (12_000, 12_000, 4), (nil, 15_000, 5), (90_000, 29_999, 10),
        ] as [(Milliseconds?, Milliseconds, Int)])
    func delayTooLong(maximum: Milliseconds?, ordered: Milliseconds, restartSeconds: Int) {
        var bed = Bed()
        bed.answers = [.delayTooLong(maximum: maximum)]
        bed.work()
        #expect(
            bed.takeLog() == [
                .scheduleLeave(delay: 30_000), .scheduleLeave(delay: ordered), Self.announcement,
                .restart(delayID: "delay-1"),
            ])
        #expect(bed.membership.takeNotices() == [.delayShortened])
        bed.pass(seconds: restartSeconds - 1)
        #expect(bed.log.isEmpty)
        bed.pass(seconds: 1)
        #expect(bed.log == [.restart(delayID: "delay-1")])
    }

    @Test("M4: where no delay is permitted that could be held, there is none")
    func noDelayPermitted() {
        var bed = Bed()
        bed.answers = [.delayTooLong(maximum: 500)]
        bed.work()
        #expect(bed.log == [.scheduleLeave(delay: 30_000), Self.announcement])
        #expect(bed.membership.takeNotices() == [.delayedEventsUnsupported])
        var stubborn = Bed()
        stubborn.answers = Array(repeating: .delayTooLong(maximum: nil), count: 10)
        stubborn.work()
        #expect(stubborn.log.count { $0 != Self.announcement } == 4, "30, 15, 7.5 and 3.75 seconds")
    }

    @Test("M5: a restart that finds nothing: a new delayed leave and a new announcement")
    func restartFindsNothing() {
        var bed = Bed.joined()
        bed.now += 10_000
        bed.answers = [.gone]
        bed.work()
        #expect(
            bed.takeLog() == [
                .restart(delayID: "delay-1"), .scheduleLeave(delay: 30_000),
                .announce(createdAt: Self.created + 10_000, expires: Self.period), .restart(delayID: "delay-2"),
            ])
        #expect(bed.membership.takeNotices() == [.rejoined])
        #expect(bed.membership.isIn)
    }

    @Test("M5: a homeserver that never knows its delayed events is asked ever more slowly")
    func restartsNeverFindAnything() {
        var bed = Bed()
        for _ in 0..<600 {
            bed.now += 1_000
            while let request = bed.membership.nextRequest(at: bed.now, unixTime: bed.unixTime) {
                bed.log.append(request)
                switch request {
                case .restart: bed.membership.answered(.gone, at: bed.now)
                case .announce: bed.membership.answered(.announced(EventSampleID.event), at: bed.now)
                default: bed.membership.answered(.scheduled(delayID: "d"), at: bed.now)
                }
            }
        }
        #expect((10...20).contains(bed.log.count { $0 == .restart(delayID: "d") }))
    }

    @Test(
        "M6: an announcement that was overwritten or has gone is made again, unchanged",
        arguments: [nil, EventSampleID.other] as [EventID?])
    func overwritten(standing: EventID?) {
        var bed = Bed.joined()
        bed.now += 1_000
        bed.membership.observe(standing, at: bed.now)
        bed.work()
        #expect(bed.takeLog() == [Self.announcement])
        #expect(bed.membership.takeNotices() == [.restored])
        // Not seen yet is not gone.
        bed.membership.observe(standing, at: bed.now + 1_000)
        bed.work()
        #expect(bed.log.isEmpty)
        #expect(bed.membership.isIn)
    }

    @Test("M6: an announcement that never appears is made again; whoever overwrites it always is answered slowly")
    func neverAppears() {
        var bed = Bed()
        bed.work()
        bed.log = []
        bed.now += 29_999
        bed.membership.observe(nil, at: bed.now)
        #expect(bed.membership.takeNotices().isEmpty)
        bed.now += 1
        bed.membership.observe(nil, at: bed.now)
        bed.work()
        #expect(bed.log.contains(Self.announcement))
        bed.log = []
        for _ in 0..<600 {
            bed.now += 1_000
            bed.membership.observe(bed.eventID, at: bed.now)
            bed.membership.observe(nil, at: bed.now)
            bed.work()
        }
        #expect((8...20).contains(bed.log.count { $0 == Self.announcement }))
    }

    @Test("M7: leaving sends the delayed leave now; when that fails, a plain one")
    func leaving() {
        var bed = Bed.joined()
        bed.membership.leave()
        bed.work()
        #expect(bed.takeLog() == [.sendLeave(delayID: "delay-1")])
        #expect(bed.membership.outcome == .left)
        for failure in [Answer.failed, .gone, .limited(retryAfter: 60_000), .refused("no")] {
            bed = Bed.joined()
            bed.membership.leave()
            bed.answers = [failure]
            bed.work()
            #expect(bed.log == [.sendLeave(delayID: "delay-1"), .leave])
            #expect(bed.membership.outcome == .left)
            #expect(bed.membership.takeNotices() == [.delayedLeaveFailed])
        }
    }

    @Test("M7: the plain leave is repeated until the homeserver answers; a refusal ends it")
    func plainLeaveRepeated() {
        var bed = Bed.joined()
        bed.membership.leave()
        bed.answers = [.failed, .failed]
        bed.work()
        #expect(bed.membership.outcome == nil)
        bed.now += 1_000
        bed.answers = [.refused("You are not in the room")]
        bed.work()
        #expect(bed.log == [.sendLeave(delayID: "delay-1"), .leave, .leave])
        #expect(bed.membership.outcome == .refused("You are not in the room"))
    }

    @Test("M8: in a long call `expires` grows with each renewal and `created_ts` stays")
    func longCall() {
        var bed = Bed.joined()
        bed.pass(seconds: 3 * 3_600)
        let announcements = bed.log.filter { if case .announce = $0 { true } else { false } }
        #expect(announcements == [2, 3, 4].map { .announce(createdAt: Self.created, expires: $0 * Self.period) })
        #expect(!bed.log.contains(.scheduleLeave(delay: 30_000)))
        #expect(bed.membership.takeNotices().isEmpty)
    }

    @Test(
        "M9: the state key has no leading underscore in room versions whose users own such keys",
        arguments: [
            ("11", "_@bot:example.com_ECHO_m.call"), ("12", "_@bot:example.com_ECHO_m.call"),
            ("org.matrix.msc3757.11", "@bot:example.com_ECHO_m.call"),
            ("org.matrix.msc3779", "@bot:example.com_ECHO_m.call"),
        ])
    func stateKeys(version: String, key: String) throws {
        #expect(try Self.announcement(version).stateKey == key)
    }

    static func announcement(_ version: String) throws -> LegAnnouncement {
        LegAnnouncement(
            room: try EventSamples.room(), user: try EventSamples.user("@bot:example.com"),
            device: try #require(DeviceID("ECHO")), roomVersion: version, serviceURL: "https://rtc.example.com")
    }

    @Test("what a leg announces is what others' memberships are read from", arguments: ["11", "org.matrix.msc3757.11"])
    func content(version: String) throws {
        let leg = try Self.announcement(version)
        let content = JSONValue.object(leg.content(createdAt: Self.created, expires: Self.period)).compactJSON
        let text = EventSamples.text(
            type: SessionStateMembership.eventType, content: String(decoding: content, as: UTF8.self),
            sender: leg.user.rawValue, stateKey: leg.stateKey)
        let membership = try RTCMembershipTests.joined(text)
        #expect(membership.liveKitIdentity == .plain("@bot:example.com:ECHO"))
        #expect(membership.memberID == leg.memberID)
        #expect(membership.expiry == .session(createdAt: Self.created, lifetime: Self.period))
        #expect(membership.focusSelection == .multipleFoci)
        #expect(
            membership.transports == [
                .liveKitService(url: "https://rtc.example.com", alias: EventSamples.roomID)
            ])
    }

    @Test("after a restart of ours a membership goes on where it was, or is joined anew when it was lost")
    func resumption() {
        let record = LegMembership.Record(delayID: "old", createdAt: Self.created - 60_000, expires: Self.period)
        var bed = Bed(resuming: record)
        bed.work()
        #expect(
            bed.takeLog() == [
                .restart(delayID: "old"), .announce(createdAt: Self.created - 60_000, expires: Self.period),
            ])
        #expect(bed.membership.record == record)
        bed = Bed(resuming: record)
        bed.answers = [.failed, .gone]
        bed.work()
        #expect(bed.takeLog() == [.restart(delayID: "old")], "nothing is said before it is known what became of it")
        bed.now += 1_000
        bed.work()
        #expect(
            bed.log == [
                .restart(delayID: "old"), .scheduleLeave(delay: 30_000),
                .announce(createdAt: Self.created + 1_000, expires: Self.period), .restart(delayID: "delay-1"),
            ])
    }

    @Test("after a restart of ours a membership that nobody wants any more is cleared")
    func clearing() {
        var bed = Bed(resuming: .init(delayID: "old", createdAt: Self.created, expires: Self.period), wantsIn: false)
        bed.work()
        #expect(bed.log == [.sendLeave(delayID: "old")])
        bed = Bed(wantsIn: false)
        bed.work()
        #expect(bed.log == [.leave])
        #expect(bed.membership.outcome == .left)
    }

    @Test("a leg that was never announced leaves without a word; one that may not announce itself is over")
    func endsBeforeItBegan() {
        var bed = Bed()
        bed.membership.leave()
        bed.work()
        #expect(bed.log.isEmpty)
        #expect(bed.membership.outcome == .left)
        bed = Bed()
        bed.answers = [.unsupported, .refused("You don't have permission")]
        bed.work()
        #expect(bed.membership.outcome == .refused("You don't have permission"))
        #expect(!bed.membership.isIn)
    }

    @Test("one request at a time: a wish to leave waits for the answer that is under way")
    func oneAtATime() {
        var bed = Bed()
        let first = bed.membership.nextRequest(at: bed.now, unixTime: bed.unixTime)
        #expect(first == .scheduleLeave(delay: 30_000))
        #expect(bed.membership.nextRequest(at: bed.now, unixTime: bed.unixTime) == nil)
        bed.membership.leave()
        bed.membership.answered(.scheduled(delayID: "late"), at: bed.now)
        bed.work()
        #expect(bed.log == [.sendLeave(delayID: "late")])
    }

    @Test("a homeserver that fails for a while loses nothing")
    func failures() {
        var bed = Bed()
        bed.answers = [.failed, .scheduled(delayID: "d"), .failed, .failed]
        bed.pass(seconds: 10)
        #expect(bed.membership.isIn)
        #expect(bed.log.count { $0 == Self.announcement } == 0, "the time of the announcement is that of its first try")
        #expect(bed.log.count { if case .announce = $0 { true } else { false } } == 2)
        #expect(bed.log.count { $0 == .restart(delayID: "d") } == 2, "the delayed leave is held meanwhile")
    }
}

/// Event ids that tests need as arguments.
enum EventSampleID {
    static let event = EventID("$event") ?? fallback
    static let other = EventID("$other")
    private static var fallback: EventID { preconditionFailure("a valid event id") }
}
