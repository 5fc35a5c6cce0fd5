// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("One-to-one calls: the keeper", .timeLimit(.minutes(2)))
struct LegacyCallKeeperTests {
    static let slow = Identifier.room("!slow:example.com")
    static let fast = Identifier.room("!fast:example.com")
    static let alice = Identifier.user("@alice:example.com")
    static let carol = Identifier.user("@carol:example.com")

    @Test("a homeserver that is slow about one room keeps nobody in another waiting")
    func rooms() async throws {
        let world = try FakeCallWorld()
        world.know(Self.slow, Self.alice)
        world.know(Self.fast, Self.carol)
        await world.server.hold("slow")
        let run = Task { await world.keeper.run() }
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.slow, from: Self.alice))])
        await world.server.wait(for: "slow", "m.call.answer")
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol))])
        await world.server.wait(for: "fast", "m.call.answer")
        await world.server.wait(for: "fast", "m.call.candidates")
        // Nor a hang-up of the other: the call ends here while its answer is under way.
        world.keeper.take([try #require(FakeCallWorld.event("hangup", in: Self.slow, from: Self.alice))])
        await world.mirrors.waitForEnd()
        #expect(world.keeper.stops[.peerHungUp] == 1)
        #expect(await world.server.count(["slow", "m.call.candidates"]) == 0)
        run.cancel()
        await run.value
    }

    @Test("an answer that the homeserver refuses for good ends the call, and counts as none")
    func refused() async throws {
        let world = try FakeCallWorld()
        world.know(Self.fast, Self.carol)
        await world.server.refuse("m.call.answer", with: 403)
        let run = Task { await world.keeper.run() }
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol))])
        await world.mirrors.waitForEnd()
        #expect(world.keeper.stops.all == [.refusedByHomeserver: 1])
        #expect(world.keeper.events[.answered] == 0)
        #expect(await world.server.count(["m.call.hangup"]) == 0)
        run.cancel()
        await run.value
    }

    @Test("without an encrypted device nothing is tried again at once, and nothing goes out in the clear")
    func noDevice() async throws {
        let world = try FakeCallWorld(encrypted: [Self.fast])
        world.know(Self.fast, Self.carol, isEncrypted: true)
        let run = Task { await world.keeper.run() }
        let device = Identifier.device("CAROL")
        world.keeper.take([
            try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol, call: "clear")),
            try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol, encryptedBy: device)),
        ])
        await world.mirrors.waitForEnd()
        run.cancel()
        await run.value
        #expect(world.keeper.refusals[.notEncrypted] == 1)
        // The answer, and the hang-up, which may or may not have been begun.
        #expect(await world.encryption.attempts <= 2)
        #expect(await world.server.urls.isEmpty)
    }

    @Test("a hang-up that a stop interrupts is said again, and stored until then")
    func interrupted() async throws {
        let world = try FakeCallWorld()
        world.know(Self.fast, Self.carol)
        let run = Task { await world.keeper.run() }
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol))])
        await world.server.wait(for: "m.call.candidates")
        await world.server.hold("m.call.hangup")
        #expect(await world.keeper.hangUp(in: Self.fast) == 1)
        await world.server.wait(for: "m.call.hangup")
        run.cancel()
        await run.value
        #expect(try await world.stored.count == 1)
        await world.server.release("m.call.hangup")
        await world.keeper.shutDown()
        #expect(await world.server.count(["m.call.hangup"]) == 2)
        #expect(try await world.stored.isEmpty)
    }

    @Test("an invite from a room whose state is not read yet is answered when it is")
    func unknownRoom() async throws {
        let world = try FakeCallWorld()
        let run = Task { await world.keeper.run() }
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol))])
        await world.clock.asleep(1)
        world.know(Self.fast, Self.carol)
        await world.clock.advance(milliseconds: 1_000, loops: 0)
        await world.server.wait(for: "m.call.answer")
        run.cancel()
        await run.value
    }

    @Test("who asks to be called hears in the room why not")
    func ring() async throws {
        let world = try FakeCallWorld()
        world.know(Self.fast, Self.carol)
        let run = Task { await world.keeper.run() }
        #expect(await world.keeper.ring(Self.carol, in: Self.fast) == nil)
        await world.server.wait(for: "fast", "m.room.message")
        run.cancel()
        await run.value
    }

    @Test("events of rooms in which no call is answered do not even wait")
    func filter() async throws {
        let world = try FakeCallWorld()
        var crowd = RoomFacts()
        crowd.joined = [Self.alice, Self.carol, FakeCallWorld.bot]
        world.facts.set(crowd, of: Self.fast)
        world.keeper.take([try #require(FakeCallWorld.invite(in: Self.fast, from: Self.carol))])
        #expect(world.keeper.refusals.all == [.crowdedRoom: 1])
    }
}

@Suite("One-to-one calls: what waits")
struct LegacyCallWaitingTests {
    let room = LegacyCallKeeperTests.fast
    let carol = LegacyCallKeeperTests.carol

    @Test("the queue is bounded in bytes, and what ends calls still gets in")
    func bounds() throws {
        let inbox = LegacyCallInbox()
        let sdp = String(repeating: "x", count: 60_000)
        let invite = try #require(FakeCallWorld.invite(in: room, from: carol, sdp: sdp))
        var dropped = 0
        for _ in 0..<200 { dropped += inbox.put(.events([invite])) }
        #expect(dropped > 0)
        #expect(inbox.put(.events([try #require(FakeCallWorld.event("hangup", in: room, from: carol))])) == 0)
        #expect(inbox.put(.left(carol, room)) == 0)
        #expect(inbox.put(.tick) == 0)
        #expect(inbox.put(.tick) == 0)
        let items = inbox.takeAll()
        #expect(items.count(where: { $0 == .tick }) == 1)
        #expect(items.count < 8 << 20 / 60_000 + 4)
        #expect(inbox.takeAll().isEmpty)
        #expect(inbox.put(.events([invite])) == 0)
    }

    @Test("invites of unknown rooms wait while they ring, until they are hung up, and not too many")
    func held() throws {
        var held = HeldInvites()
        let invite = try #require(FakeCallWorld.invite(in: room, from: carol))
        #expect(held.take([invite], at: 0) { _ in false }.isEmpty)
        #expect(held.release(at: 0) { _ in false }.isEmpty)
        #expect(held.release(at: 0) { _ in true } == [invite])
        #expect(held.isEmpty)
        #expect(held.take([invite], at: 0) { _ in true } == [invite])
        _ = held.take([invite], at: 0) { _ in false }
        let hangup = try #require(FakeCallWorld.event("hangup", in: room, from: carol))
        #expect(held.take([hangup], at: 0) { _ in false } == [hangup])
        #expect(held.isEmpty)
        for number in 0..<HeldInvites.maximumCount {
            let one = try #require(FakeCallWorld.invite(in: room, from: carol, call: "\(number)"))
            #expect(held.take([one], at: 0) { _ in false }.isEmpty)
        }
        #expect(held.take([invite], at: 0) { _ in false } == [invite])
    }

    @Test("who the policy refuses uses nobody's allowance up, and beyond any allowance is silence")
    func rates() throws {
        var rates = LegacyCallRates(local: FakeHomeserver.local)
        let now = SteppedClock().clock.monotonic()
        let answers = (0..<6).map { _ in rates.spend(carol, refusal: .notAllowed, at: now) }
        let silence: [LegacyCallRefusal?] = [.rateLimited]
        #expect(answers == Array(repeating: .notAllowed, count: 5) + silence)
        let calls = (0..<6).map { _ in rates.spend(carol, refusal: nil, at: now) }
        #expect(calls == Array(repeating: nil, count: 5) + silence)
        let mayRing = rates.spendRing(carol, at: now)
        #expect(mayRing)
        // Many users of one other homeserver.
        let outcomes = (0..<31).map { number in
            rates.spend(Identifier.user("@u\(number):other.org"), refusal: nil, at: now)
        }
        #expect(outcomes == Array(repeating: nil, count: 30) + silence)
    }

    @Test("what became of an event: stopped by ourselves is not refused for good")
    func outcomes() {
        #expect(LegacyCallPost.outcome(of: .noAnswer(.cancelled)) == .unreachable)
        #expect(LegacyCallPost.outcome(of: .noAnswer(.timedOut)) == .unreachable)
        #expect(LegacyCallPost.outcome(of: .noAnswer(.addressRefused)) == .never)
        #expect(LegacyCallPost.outcome(of: .unexpectedAnswer(request: "x")) == .never)
    }
}
