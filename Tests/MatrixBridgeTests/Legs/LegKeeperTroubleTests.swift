// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging
import NIOConcurrencyHelpers
import OlmE2EE
import Testing

@testable import MatrixBridge

/// Legs that are not seen, not wanted or not stored.
extension LegKeeperTests {
    @Test("it hears nobody and gives nobody a key before its membership stands", arguments: [false, true])
    func notHidden(isEncrypted: Bool) async throws {
        know { $0.isEncrypted = isEncrypted }
        let device = DeviceAddress(user: FakeHomeserver.bot, device: Identifier.device("CRYPTO"))
        // A clock that does not go on by itself, unlike that of the keeper.
        let desk = MediaKeyDesk(
            messaging: post.pen(of: device), facts: coordinators.facts, device: { device },
            clock: SteppedClock().clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await coordinator.consume(coordinators.transaction(1, coordinators.events.membership(event: "$1")))
        await homeserver.answer(.limited(retryAfter: 60_000))
        let keeper = keeper(desk: desk)
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            clock.advance(milliseconds: 59_999)
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .joining)
            #expect(await entrance.entered.isEmpty)
            #expect(await post.missedCount == 0)
            clock.advance(milliseconds: 1)
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .here(echoed: 0))
            #expect(await entrance.entered.count == 1)
            // Nobody has the device that the key is for.
            if isEncrypted { await post.handled(1) }
            group.cancelAll()
        }
    }

    @Test("out of the call for half a minute, it stops hearing until it is back")
    func hiddenForLong() async throws {
        know()
        try await coordinator.consume(coordinators.transaction(1, coordinators.events.membership(event: "$1")))
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            // The delayed leave was sent, and another is not to be had for some time.
            clock.advance(milliseconds: 10_000)
            await homeserver.answer(.gone, .limited(retryAfter: 60_000))
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .joining)
            clock.advance(milliseconds: 30_000)
            await work(keeper, &group)
            for _ in 0..<1_000 where await keeper.hears(Self.room) { await Task.yield() }
            #expect(await keeper.hears(Self.room) == false)
            clock.advance(milliseconds: 30_000)
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .here(echoed: 0))
            #expect(await entrance.entered.count == 2)
            group.cancelAll()
        }
    }

    @Test("in a call of the room beside the room's own nobody is company, and nobody gets a key")
    func otherCall() async throws {
        know { $0.isEncrypted = true }
        let event = """
            {"type":"org.matrix.msc4143.rtc.member","room_id":"\(Self.room)","event_id":"$side",
             "sender":"\(Self.alice)","origin_server_ts":\(clock.now),
             "msc4354_sticky":{"duration_ms":3600000},
             "content":{"slot_id":"m.call#side","application":{"type":"m.call"},"msc4354_sticky_key":"side",
             "member":{"id":"side","claimed_user_id":"\(Self.alice)","claimed_device_id":"D"},
             "rtc_transports":[]}}
            """
        try await coordinator.consume(coordinators.transaction(1, JSONValue.parse(Array(event.utf8))))
        #expect(await coordinator.members(in: Self.room).count == 1)
        let keeper = keeper(device: Identifier.device("CRYPTO"))
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            clock.advance(milliseconds: 60_000)
            await work(keeper, &group)
            group.cancelAll()
        }
        #expect(await keeper.standing(in: Self.room) == .ended("nobody else was in the call for a minute"))
        #expect(await post.missedCount == 0)
    }

    @Test("an encrypted device that is replaced takes the leg with it, also over a restart", arguments: [false, true])
    func replacedDevice(afterRestart: Bool) async throws {
        know { $0.isEncrypted = true }
        try await coordinator.consume(coordinators.transaction(1, coordinators.events.membership(event: "$1")))
        let current = NIOLockedValueBox(Identifier.device("OLD"))
        let desk = MediaKeyDesk(
            messaging: post.pen(of: Self.noDevice), facts: coordinators.facts,
            device: { DeviceAddress(user: FakeHomeserver.bot, device: current.withLockedValue { $0 }) },
            clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        var keeper = keeper(desk: desk)
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            group.cancelAll()
        }
        current.withLockedValue { $0 = Identifier.device("NEW") }
        _ = await homeserver.takeLog()
        if afterRestart {
            keeper = self.keeper(desk: desk)
            try await keeper.restore()
        }
        await withDiscardingTaskGroup { group in await work(keeper, &group) }
        #expect(await homeserver.log == [.sendLeave(delayID: "delay-1")])
        #expect(await keeper.standing(in: Self.room) == .ended("my encrypted device was replaced; try again"))
        #expect(await entrance.entered.count == 1)
        #expect(try await storedRows().isEmpty)
    }

    @Test("a wish that cannot be stored is none, and what began of it is taken back")
    func storeFails() async throws {
        know()
        _ = try await database.transaction { try $0.execute("DROP TABLE call_legs") }
        let keeper = keeper()
        do throws(LegKeeper.Refusal) {
            try await keeper.begin(in: Self.room)
            Issue.record("it was stored")
        } catch {
            #expect(error.sentence.contains("could not be stored"))
        }
        await withDiscardingTaskGroup { group in await work(keeper, &group) }
        guard case .ended = await keeper.standing(in: Self.room) else {
            Issue.record("it goes on")
            return
        }
        #expect(await homeserver.log.isEmpty)
        #expect(await entrance.entered.isEmpty)
        #expect(keeper.events[.storeFailed] >= 1)
    }

    @Test("a leave that the homeserver refuses is said, in the homeserver's words")
    func leaveRefused() async throws {
        know()
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            await homeserver.answer(.gone, .refused("M_FORBIDDEN: no"))
            _ = await keeper.end(in: Self.room)
            await work(keeper, &group)
        }
        #expect(await keeper.standing(in: Self.room) == .stuck("M_FORBIDDEN: no"))
        #expect(keeper.events[.leaveRefused] == 1)
    }
}

extension LegKeeper {
    func hears(_ room: RoomID) -> Bool { legs[room]?.hasMediaJob == true }
}
