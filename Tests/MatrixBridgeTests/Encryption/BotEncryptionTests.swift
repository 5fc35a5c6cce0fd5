// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
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
        database: Database? = nil, key: UInt8 = 1, marker: GenerationMarker? = nil,
    ) throws -> BotEncryption {
        BotEncryption(
            database: try database ?? Database(path: ":memory:"), bot: user,
            key: try #require(PickleKey([UInt8](repeating: key, count: PickleKey.byteCount))),
            client: MatrixClient(transport: homeserver, baseURL: FakeHomeserver.localBaseURL, asToken: "as"),
            facts: facts, marker: marker, clock: clock.clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
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

    @Test("a sync that failed stays due; where it is refused for good, key counts come from an upload of nothing")
    func failedSync() async throws {
        try await bot.setUp()
        await homeserver.refuse("GET sync", with: .error(502, "M_UNKNOWN"))
        await #expect(throws: MatrixClientError.self) { try await bot.catchUp() }
        #expect(await bot.wantsSync)
        try await bot.catchUp()
        #expect(await !bot.wantsSync)
        await homeserver.refuse("GET sync", with: .error(403, "M_FORBIDDEN"))
        let uploads = await homeserver.requests.count { $0 == "POST keys/upload" }
        try await bot.catchUp()
        #expect(await homeserver.requests.count { $0 == "POST keys/upload" } > uploads)
        #expect(await bot.state == .ready)
        await bot.wantSync()
        await homeserver.refuse("GET sync", with: HTTPClientResponse(status: 200, body: Array("[[[".utf8)))
        try await bot.catchUp()
        #expect(await !bot.wantsSync, "a message that is too large would be in the next one, too")
    }

    @Test("a server whose keys nobody can read keeps them from nobody else")
    func spoiledAnswers() async throws {
        let mallory = try Self.device(Identifier.user("@mallory:evil.test"), homeserver, clock, facts)
        let trent = try Self.device(Identifier.user("@trent:evil.test"), homeserver, clock, facts)
        for party in [alice, bot, mallory, trent] { try await party.setUp() }
        var addresses: [DeviceAddress] = []
        for party in [bot, mallory, trent] { addresses.append(try #require(await party.device?.address)) }
        let (theirs, others) = (addresses[1], addresses[2])
        // Known, and without a session.
        try await alice.know(theirs.user)
        try await alice.askForDevices()
        await homeserver.spoilAnswers(about: "evil.test")
        let taken = await bot.messages(ofTypes: ["a.b"])
        let failures = await alice.send("a.b", Dictionary(addresses.map { ($0, ["n": .integer(1)]) }) { $1 })
        #expect(failures == [theirs: .noSession(.noOneTimeKey), others: .unknownDevice])
        try await bot.catchUp()
        try await bot.askForDevices()
        var iterator = taken.makeAsyncIterator()
        #expect(await iterator.next()?.type == "a.b")
        // Those who spoil the answer are left alone for a while.
        let asked = await homeserver.requests.count
        try await alice.askForDevices()
        #expect(await homeserver.requests.count == asked)
    }

    @Test("trouble of the homeserver itself is nobody else's fault, and fails what was to be sent")
    func homeserverTrouble() async throws {
        let mallory = try Self.device(Identifier.user("@mallory:evil.test"), homeserver, clock, facts)
        for party in [alice, mallory] { try await party.setUp() }
        let theirs = try #require(await mallory.device?.address)
        await homeserver.refuse("POST keys/query", with: .error(500, "M_UNKNOWN"), times: 2)
        guard case .refused = await alice.send("a.b", [theirs: [:]])[theirs] else {
            Issue.record("it counts as unknown")
            return
        }
        #expect(await alice.send("a.b", [theirs: [:]]).isEmpty, "it is asked again at once")
    }

    @Test("a homeserver that refuses a device is asked again ever more rarely")
    func refusedDevice() async throws {
        await homeserver.refuse("PUT devices", with: .error(403, "M_FORBIDDEN"), times: 20)
        var delays: [UInt64] = []
        for _ in 0..<10 {
            try await bot.setUp()
            delays.append(await bot.retryMilliseconds)
        }
        #expect(delays[0] <= 600_000)
        #expect(delays[0] <= delays[1])
        #expect(delays[1] <= delays[2])
        #expect((3 * 3_600_000...6 * 3_600_000).contains(delays[9]))
    }

    @Test("at work it outlasts a homeserver that refuses the device at first and then fails", .timeLimit(.minutes(1)))
    func atWork() async throws {
        try await alice.setUp()
        let bot = try Self.device(Self.botID, homeserver, ManualClock(maximumSleeps: .max), facts)
        await homeserver.refuse("PUT devices", with: .error(403, "M_FORBIDDEN"), times: 2)
        let taken = await bot.messages(ofTypes: ["a.b"])
        let work = Task { await bot.run() }
        defer { work.cancel() }
        bot.wakeUps.wake()
        while await bot.state != .ready { await Task.yield() }
        #expect(
            await homeserver.requests.count { $0.hasPrefix("PUT devices") } == 4, "one of alice's, three of the bot's")

        await homeserver.refuse("GET sync", with: .error(502, "M_UNKNOWN"), times: 3)
        let address = try #require(await bot.device?.address)
        #expect(await alice.send("a.b", [address: [:]]).isEmpty)
        var iterator = taken.makeAsyncIterator()
        #expect(await iterator.next()?.sender.user == Self.aliceID)
        #expect(await homeserver.requests.count { $0 == "GET sync" } > 3)
    }

    @Test("a homeserver that has other keys with the ids of ours makes us make a new device")
    func oldDatabase() async throws {
        try await bot.setUp()
        let first = try #require(await bot.device?.address.device)
        try await bot.catchUp()
        await homeserver.takeOneTimeKeys(of: Self.botID)
        let refusal = JSONValue.object([
            "errcode": .string("M_UNKNOWN"), "error": .string("One time key signed_curve25519:AAAA already exists."),
        ])
        await homeserver.refuse("POST keys/upload", with: HTTPClientResponse(status: 400, body: refusal.compactJSON))
        try await bot.catchUp()
        #expect(await bot.state == .starting)
        try await bot.setUp()
        #expect(await bot.device?.address.device != first)
        #expect(await bot.state == .ready)
    }

    @Test("a claim that fails takes the key from nobody who has a session; where nobody gets it, nothing is sent")
    func failedClaim() async throws {
        let carolID = Identifier.user("@carol:example.com")
        let carol = try Self.device(carolID, homeserver, clock, facts)
        for party in [alice, bot, carol] { try await party.setUp() }
        var known = RoomFacts()
        known.isEncrypted = true
        known.joined = [Self.aliceID, Self.botID]
        facts.set(known, of: room)
        _ = try await alice.encrypted("m.room.message", [:], in: room)
        known.joined.insert(carolID)
        facts.set(known, of: room)
        await homeserver.refuse("POST keys/claim", with: .error(500, "M_UNKNOWN"), times: 10)
        _ = try await alice.encrypted("m.room.message", [:], in: room)
        // Alone with her, nobody would read it.
        let other = Identifier.room("!other:example.com")
        known.joined = [Self.aliceID, carolID]
        facts.set(known, of: other)
        await #expect(throws: RoomEncryptionFailure.nobodyReached) {
            try await alice.encrypted("m.room.message", [:], in: other)
        }
    }

    @Test("messages that their taker does not take in time are counted")
    func slowTaker() async throws {
        try await alice.setUp()
        try await bot.setUp()
        let taken = await bot.messages(ofTypes: ["a.b"])
        let address = try #require(await bot.device?.address)
        for number in 0...257 {
            #expect(await alice.send("a.b", [address: ["n": .integer(Int64(number))]]).isEmpty)
            guard number == 0 else { continue }
            try await bot.catchUp()
            try await bot.askForDevices()
        }
        try await bot.catchUp()
        #expect(bot.refusals[.tooManyForTaker] == 2)
        withExtendedLifetime(taken) {}
    }

    @Test("an old database that was put back is noticed, and the device replaced")
    func restoredDatabase() async throws {
        let folder = try TemporaryDatabase()
        let directory = folder.folder.path
        func party() throws -> BotEncryption {
            try Self.device(
                Self.botID, homeserver, clock, facts, database: Database(path: Database.path(in: directory)),
                marker: GenerationMarker(dataDirectory: directory))
        }
        let first = try party()
        try await first.setUp()
        await first.tidy()
        let name = try #require(await first.device?.address.device)
        let again = try party()
        try await again.restore()
        try await again.setUp()
        #expect(await again.device?.address.device == name)
        // As if the database were of before the last mark.
        let marker = GenerationMarker(dataDirectory: directory)
        try marker.write(try #require(try marker.read()) + 1)
        let behind = try party()
        try await behind.restore()
        #expect(await behind.isBehind)
        try await behind.setUp()
        #expect(await behind.device?.address.device != name)
        let after = try party()
        try await after.restore()
        #expect(await !after.isBehind)
        #expect(await after.device?.address.device == behind.device?.address.device)
    }

    @Test("with another key file the device is left as it is, for the right one")
    func wrongKey() async throws {
        let folder = try TemporaryDatabase()
        let path = Database.path(in: folder.folder.path)
        let first = try Self.device(Self.botID, homeserver, clock, facts, database: Database(path: path))
        try await first.setUp()
        let name = try #require(await first.device?.address.device)
        let wrong = try Self.device(Self.botID, homeserver, clock, facts, database: Database(path: path), key: 2)
        await #expect(throws: OlmFault.self) { try await wrong.restore() }
        let right = try Self.device(Self.botID, homeserver, clock, facts, database: Database(path: path))
        try await right.restore()
        #expect(await right.device?.address.device == name)
    }

    @Test("damaged keys of our own stop no transaction")
    func damagedAccount() async throws {
        try await alice.setUp()
        try await bot.setUp()
        let address = try #require(await bot.device?.address)
        #expect(await alice.send("a.b", [address: [:]]).isEmpty)
        try await bot.damageAccount()
        // The message comes with a transaction, from a device that the bot knows.
        let event = try #require(await homeserver.takeMessages(to: address).first)
        try await bot.know(Self.aliceID)
        try await bot.askForDevices()
        let body: JSONValue = .object([
            "to_device": .array([
                .object(
                    (event.object ?? [:]).merging([
                        "to_user_id": .string(address.user.rawValue), "to_device_id": .string(address.device.rawValue),
                    ]) { $1 })
            ])
        ])
        #expect(try await bot.readInTransaction([], of: body).isEmpty)
        #expect(bot.refusals[.deviceFault] == 1)
    }
}

extension BotEncryption {
    fileprivate func wantSync() {
        wantsSync = true
    }

    fileprivate func know(_ user: UserID) throws {
        try database.transactionInPlace { try device?.needDevices(of: [user], in: OlmTable($0), at: now) }
    }

    fileprivate func readInTransaction(_ events: [RoomEvent], of body: JSONValue) throws -> [RoomEvent] {
        began()
        defer { committed() }
        return try database.transactionInPlace { _ in try read(events, of: body) }
    }

    fileprivate func damageAccount() throws {
        let name = device?.address.device.rawValue ?? ""
        try database.transactionInPlace {
            try OlmTable($0).put(OlmRecord(.account, key: name, value: [1], touched: 1))
        }
    }
}
