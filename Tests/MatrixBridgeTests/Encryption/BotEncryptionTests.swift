// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Logging
import NIOConcurrencyHelpers
import OlmE2EE
import Testing

@testable import MatrixBridge

@Suite("The bot's encrypted device, with another at the same homeserver")
struct BotEncryptionTests {
    private static let aliceID = Identifier.user("@alice:example.com")
    private static let botID = FakeHomeserver.bot

    private let homeserver = DeviceHomeserver()
    private let clock = ManualClock(maximumSleeps: 1_000)
    private let facts = RoomFactsBook()
    private let alice: BotEncryption
    private let bot: BotEncryption
    private let room = Identifier.room("!room:example.com")

    init() throws {
        alice = try Self.device(Self.aliceID, homeserver, clock, facts)
        bot = try Self.device(Self.botID, homeserver, clock, facts)
    }

    private static func device(
        _ user: UserID, _ homeserver: DeviceHomeserver, _ clock: ManualClock, _ facts: RoomFactsBook,
    ) throws -> BotEncryption {
        BotEncryption(
            database: try Database(path: ":memory:"), bot: user,
            key: try #require(PickleKey([UInt8](repeating: 1, count: PickleKey.byteCount))),
            client: MatrixClient(transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: "as"),
            facts: facts, clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("messages go from device to device; those without keys are named")
    func messages() async throws {
        let content: JSONObject = ["n": .integer(1)]
        let nobody = DeviceAddress(user: Self.botID, device: Identifier.device("NOBODY"))
        #expect(await alice.send("a.b", [nobody: content]) == [nobody: .noDevice])
        try await alice.setUp()
        try await bot.setUp()
        #expect(await bot.state == .ready)
        let taken = await bot.messages(ofTypes: ["a.b"])
        let address = try #require(await bot.device?.address)
        let sender = try #require(await alice.device?.address)
        #expect(await alice.send("a.b", [address: content, nobody: content]) == [nobody: .unknownDevice])
        #expect(await alice.send("a.c", [address: content]).isEmpty)
        try await bot.catchUp()
        try await bot.askForDevices()
        var iterator = taken.makeAsyncIterator()
        #expect(await iterator.next() == ToDeviceMessage(sender: sender, type: "a.b", content: content))
        #expect(bot.refusals[.unclaimedType] == 1)
    }

    @Test("an event of an encrypted room waits for its key, then goes on in the clear")
    func roomEvent() async throws {
        try await alice.setUp()
        try await bot.setUp()
        var known = RoomFacts()
        known.joined = [Self.aliceID, Self.botID]
        known.isEncrypted = true
        facts.set(known, of: room)
        #expect(await alice.isEncrypted(room))
        let text: JSONObject = ["msgtype": .string("m.text"), "body": .string("ping")]
        let content = try await alice.encrypted("m.room.message", text, in: room)
        #expect(content["algorithm"] == .string(OlmDevice.Algorithm.megolm))
        let event: JSONValue = .object([
            "type": .string("m.room.encrypted"), "sender": .string(Self.aliceID.rawValue),
            "room_id": .string(room.rawValue), "event_id": .string("$1"), "origin_server_ts": .integer(1),
            "content": .object(content),
        ])

        let readable = NIOLockedValueBox<[RoomEvent]>([])
        await bot.attach(
            onReadable: { events in readable.withLockedValue { $0 += events } }, onUnreadable: { _ in })
        let coordinator = CallCoordinator(
            database: bot.database, enforcement: .ofTests(FakeFocus(), IssuedIdentities(), facts), facts: facts,
            encryption: bot,
            membershipPolicy: BotMembershipPolicy(
                bot: Self.botID, access: AccessPolicy(localServer: FakeHomeserver.local)),
            errands: WakeUps(), clock: clock.clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await coordinator.consume(
            StoredTransaction(sequence: 1, id: "1", body: TransactionInboxTests.body([event])))
        #expect(await bot.held.all.count == 1)
        try await bot.catchUp()
        try await bot.askForDevices()
        let device = await alice.device?.address.device
        #expect(readable.withLockedValue { $0.map(\.content) } == [text])
        #expect(readable.withLockedValue { $0.map(\.encryptingDevice) } == [device])
        #expect(await bot.held.all.isEmpty)

        // Once encrypted, always encrypted; without members nothing is.
        facts.forget(room)
        #expect(await alice.isEncrypted(room))
        await #expect(throws: RoomEncryptionFailure.unknownMembers) {
            try await alice.encrypted("m.room.message", text, in: room)
        }
    }

    @Test("a device that the homeserver has lost is made anew, and the identity stays")
    func lostDevice() async throws {
        try await bot.setUp()
        let first = try #require(await bot.device)
        await homeserver.forget(Self.botID)
        try await bot.setUp()
        let second = try #require(await bot.device)
        #expect(second.address.device != first.address.device)
        #expect(await bot.state == .ready)
        #expect(await homeserver.requests.count { $0.hasSuffix("device_signing/upload") } == 1)
        let stays = await homeserver.requests.count
        try await bot.setUp()
        #expect(await homeserver.requests.count == stays + 1, "one question, and nothing to do")
    }
}
