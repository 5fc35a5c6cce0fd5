// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FocusSFU
import Logging
import OlmE2EE
import Testing

@testable import MatrixBridge

@Suite("Echo legs: wanted, there, gone")
struct LegKeeperTests {
    static let room = CallCoordinatorTests.room
    static let alice = CallCoordinatorTests.alice
    static let noDevice = DeviceAddress(user: FakeHomeserver.bot, device: Identifier.device("NONE"))

    let coordinators = CallCoordinatorTests()
    let homeserver = FakeLegHomeserver()
    let media = FakeEchoMedia()
    let entrance: FakeEchoEntrance
    let post = DevicePost()
    let database: Database
    let coordinator: CallCoordinator

    var clock: ManualClock { coordinators.clock }
    var created: Int64 { clock.now }

    init() throws {
        entrance = FakeEchoEntrance(media)
        database = try Database(path: ":memory:")
        coordinator = coordinators.coordinator(database)
    }

    func keys(_ device: DeviceID?) -> MediaKeyDesk {
        let address = device.map { DeviceAddress(user: FakeHomeserver.bot, device: $0) }
        return MediaKeyDesk(
            messaging: post.pen(of: address ?? Self.noDevice), facts: coordinators.facts, device: { address },
            clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// - Parameter device: The bot's encrypted one.
    func keeper(
        limit: Int64 = 600_000, policy: AccessPolicy? = nil, device: DeviceID? = nil, desk: MediaKeyDesk? = nil,
    ) -> LegKeeper {
        LegKeeper(
            LegKeeper.Dependencies(
                database: database, coordinator: coordinator, focus: coordinators.focus, homeserver: homeserver,
                entrance: entrance, keys: desk ?? keys(device), facts: coordinators.facts, aliases: nil,
                policy: policy ?? AccessPolicy(localServer: FakeHomeserver.local), clock: clock.clock,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
            user: FakeHomeserver.bot, clearDevice: Identifier.device("ECHO"), serviceURL: "https://rtc.example.com",
            limitMilliseconds: limit)
    }

    func know(_ room: RoomID = room, change: (inout RoomFacts) -> Void = { _ in }) {
        var facts = RoomFacts()
        facts.joined = [FakeHomeserver.bot, Self.alice]
        facts.authority.powerLevels = RoomPowerLevels([
            "events": .object([SessionStateMembership.eventType: .integer(0)])
        ])
        change(&facts)
        coordinators.facts.set(facts, of: room)
    }

    /// Two looks and what they led to; media that begin, once the membership stands, go on in the group.
    func work(_ keeper: LegKeeper, _ group: inout DiscardingTaskGroup) async {
        for _ in 0..<2 { await look(keeper, &group) }
    }

    func look(_ keeper: LegKeeper, _ group: inout DiscardingTaskGroup) async {
        for job in await keeper.check() {
            switch job {
            case .requests: await keeper.perform(job)
            case .media(let room, _):
                if case .ended = await keeper.standing(in: room) { continue }
                group.addTask { await keeper.perform(job) }
                await media.started()
            case .keys: group.addTask { await keeper.perform(job) }
            }
        }
    }

    func storedRows() async throws -> [LegTable.Row] {
        try await database.read { try LegTable.load(from: $0) }
    }

    @Test("it announces itself, comes in, and leaves when told")
    func life() async throws {
        know()
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        let row = LegTable.Row(
            room: Self.room, roomVersion: "1", isWanted: true, device: Identifier.device("ECHO"), startedAt: created,
            record: .init())
        #expect(try await storedRows() == [row], "stored before anything is asked")
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .here(echoed: 0))
            #expect(await keeper.end(in: Self.room))
            #expect(await keeper.standing(in: Self.room) == .leaving)
            await work(keeper, &group)
        }
        #expect(
            await homeserver.log == [
                .scheduleLeave(delay: 30_000), .announce(createdAt: created, expires: 14_400_000),
                .restart(delayID: "delay-1"), .sendLeave(delayID: "delay-1"),
            ])
        #expect(
            await entrance.entered == [
                FocusParticipant(room: CallCoordinatorTests.liveKitRoom, identity: "@callbot:example.com:ECHO")
            ])
        #expect(try await storedRows().isEmpty)
        #expect(await keeper.standing(in: Self.room) == .ended("it was told to leave"))
        #expect(await keeper.end(in: Self.room) == false)
        #expect(keeper.events[.begun] == 1 && keeper.events[.told] == 1)
    }

    @Test("in an encrypted room it is the bot's encrypted device, its frames are sealed, and so it is after a restart")
    func encryptedRoom() async throws {
        know { $0.isEncrypted = true }
        let device = Identifier.device("CRYPTO")
        let first = keeper(device: device)
        try await first.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(first, &group)
            #expect(await first.standing(in: Self.room) == .here(echoed: 0))
            group.cancelAll()
        }
        #expect(await entrance.entered.map(\.identity) == ["@callbot:example.com:CRYPTO"])
        #expect(await entrance.areSealed == [true])
        #expect(try await storedRows().map(\.device) == [device])
        let before = try #require(try await storedRows().first?.record.createdAt)

        // The keys of the others are gone with the process: the same leg, as a new member.
        clock.advance(milliseconds: 5_000)
        let second = keeper(device: device)
        try await second.restore()
        await withDiscardingTaskGroup { group in
            await work(second, &group)
            #expect(await second.end(in: Self.room))
            await work(second, &group)
        }
        #expect(await entrance.areSealed == [true, true])
        let announced = await homeserver.log.compactMap { request in
            if case .announce(let createdAt, _) = request { createdAt } else { nil }
        }
        #expect(announced.count == 2 && announced.first == before && announced.allSatisfy { $0 >= before })
        #expect(announced.last != before)
        #expect(try await storedRows().isEmpty)
    }

    @Test("where it cannot be, it says why")
    func refusals() async throws {
        func refusal(_ keeper: LegKeeper) async -> String {
            do throws(LegKeeper.Refusal) {
                try await keeper.begin(in: Self.room)
                return ""
            } catch {
                return error.sentence
            }
        }
        #expect(await refusal(keeper()).contains("I am not in that room"))
        know { $0.isEncrypted = true }
        #expect(await refusal(keeper()).contains("encrypted"))
        know { $0.authority.powerLevels = RoomPowerLevels([:]) }
        #expect(await refusal(keeper()).contains("50"))
        know()
        #expect(await refusal(keeper(limit: 0)).contains("matrix.echo_limit"))
        #expect(try await storedRows().isEmpty)
        let keeper = keeper()
        #expect(await refusal(keeper).isEmpty)
        #expect(await refusal(keeper).contains("already"))
        _ = await keeper.end(in: Self.room)
        #expect(await refusal(keeper).contains("just leaving"))
    }

    @Test("it leaves when nobody else was there for a minute, counting anew when somebody comes back")
    func alone() async throws {
        know()
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        let other = FocusParticipant(room: CallCoordinatorTests.liveKitRoom, identity: "@alice:example.com:D")
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            clock.advance(milliseconds: 59_999)
            await coordinators.focus.enter(other)
            await work(keeper, &group)
            await coordinators.focus.exit(other)
            clock.advance(milliseconds: 1)
            await work(keeper, &group)
            clock.advance(milliseconds: 59_999)
            await work(keeper, &group)
            #expect(await keeper.rooms.count == 1)
            clock.advance(milliseconds: 1)
            await work(keeper, &group)
        }
        #expect(await keeper.standing(in: Self.room) == .ended("nobody else was in the call for a minute"))
    }

    @Test("it leaves when its time is over, however many are there")
    func limit() async throws {
        know()
        try await coordinator.consume(coordinators.transaction(1, coordinators.events.membership(event: "$1")))
        let keeper = keeper(limit: 120_000)
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            clock.advance(milliseconds: 119_999)
            await work(keeper, &group)
            #expect(await keeper.standing(in: Self.room) == .here(echoed: 0))
            clock.advance(milliseconds: 1)
            await work(keeper, &group)
        }
        #expect(keeper.events[.limit] == 1)
    }

    @Test("sent away from the call, it leaves the room's call, too")
    func sentAway() async throws {
        know()
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            media.end(.failed("the server sent the participant away"))
        }
        await withDiscardingTaskGroup { group in await work(keeper, &group) }
        #expect(await homeserver.log.last == .sendLeave(delayID: "delay-1"))
        #expect(keeper.events[.mediaEnded] == 1)
        #expect(try await storedRows().isEmpty)
    }

    @Test("a membership that the homeserver refuses ends the leg, with the homeserver's words")
    func refused() async throws {
        know()
        await homeserver.answer(.unsupported, .refused("M_FORBIDDEN: no"))
        let keeper = keeper()
        try await keeper.begin(in: Self.room)
        await withDiscardingTaskGroup { group in await work(keeper, &group) }
        #expect(
            await keeper.standing(in: Self.room)
                == .ended("the homeserver did not take its membership: M_FORBIDDEN: no"))
        #expect(try await storedRows().isEmpty)
        #expect(keeper.notices[.delayedEventsUnsupported] == 1)
    }

    @Test("after a crash it goes on in the membership that it had")
    func crash() async throws {
        know()
        let first = keeper()
        let createdAt = created
        try await first.begin(in: Self.room)
        for job in await first.check() where job == .requests(Self.room, 1) { await first.perform(job) }
        _ = await homeserver.takeLog()
        clock.advance(milliseconds: 5_000)
        let second = keeper()
        try await second.restore()
        await withDiscardingTaskGroup { group in
            await work(second, &group)
            #expect(await second.standing(in: Self.room) == .here(echoed: 0))
            await second.shutDown()
        }
        #expect(
            await homeserver.log == [
                .restart(delayID: "delay-1"), .announce(createdAt: createdAt, expires: 14_400_000),
                .sendLeave(delayID: "delay-1"),
            ])
        #expect(try await storedRows().isEmpty)
    }

    @Test("after a crash a leg that was leaving, or whose time is over, is cleared", arguments: [false, true])
    func crashWhileLeaving(isLate: Bool) async throws {
        know()
        let first = keeper()
        try await first.begin(in: Self.room)
        for job in await first.check() where job == .requests(Self.room, 1) { await first.perform(job) }
        if isLate { clock.advance(milliseconds: 600_000) } else { _ = await first.end(in: Self.room) }
        _ = await homeserver.takeLog()
        let second = keeper()
        try await second.restore()
        await withDiscardingTaskGroup { group in await work(second, &group) }
        #expect(await homeserver.log == [.sendLeave(delayID: "delay-1")])
        #expect(await entrance.entered.isEmpty)
        #expect(try await storedRows().isEmpty)
    }

    @Test("a membership of ours that no leg has is cleared; refused, it is tried ever more seldom")
    func stray() async throws {
        know()
        let stray = LegAnnouncement(
            room: Self.room, user: FakeHomeserver.bot, device: Identifier.device("ECHO"), roomVersion: "1",
            serviceURL: "https://rtc.example.com")
        try await coordinator.consume(
            coordinators.transaction(
                1,
                .object([
                    "type": .string(SessionStateMembership.eventType), "sender": .string(stray.user.rawValue),
                    "room_id": .string(Self.room.rawValue), "event_id": .string("$stray"),
                    "state_key": .string(stray.stateKey), "origin_server_ts": .integer(clock.now),
                    "content": .object(stray.content(createdAt: clock.now, expires: 14_400_000)),
                ])))
        let keeper = keeper()
        await withDiscardingTaskGroup { group in
            await work(keeper, &group)
            #expect(await homeserver.log.isEmpty, "it may be a leg's that is just leaving")
            clock.advance(milliseconds: 10_000)
            await work(keeper, &group)
        }
        #expect(await homeserver.takeLog() == [.leave])
        #expect(keeper.events[.strayCleared] == 1)
        for _ in 0..<360 {
            clock.advance(milliseconds: 10_000)
            await homeserver.answer(.refused("M_FORBIDDEN: no"))
            await withDiscardingTaskGroup { group in await work(keeper, &group) }
        }
        #expect((3...10).contains(await homeserver.log.count { $0 == .leave }))
    }
}
