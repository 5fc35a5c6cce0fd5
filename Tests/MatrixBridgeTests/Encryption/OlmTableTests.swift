// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Foundation
import OlmE2EE
import Testing

@testable import MatrixBridge

@Suite("What an encrypted device remembers, in SQLite")
struct OlmTableTests {
    private struct Undone: Error {}

    private static let start: UnixMilliseconds = 1_790_000_000_000
    private let alice = DeviceAddress(user: Identifier.user("@alice:example.com"), device: Identifier.device("ALICE"))
    private let bot = DeviceAddress(user: FakeHomeserver.bot, device: Identifier.device("BOT"))

    private func connection() throws -> SQLiteConnection {
        let connection = try SQLiteConnection(path: ":memory:")
        try Schema.migrate(connection)
        return connection
    }

    private func key(_ byte: UInt8 = 1) throws -> PickleKey {
        try #require(PickleKey([UInt8](repeating: byte, count: PickleKey.byteCount)))
    }

    @Test("rows replace each other by kind, owner and key; the last touched comes first")
    func rows() throws {
        let table = OlmTable(try connection())
        for (key, touched) in [("a", 1), ("b", 3), ("c", 2)] as [(String, Int64)] {
            try table.put(OlmRecord(.session, owner: "peer", key: key, value: [UInt8(touched)], touched: touched))
        }
        try table.put(OlmRecord(.session, owner: "other", key: "a", touched: 9))
        try table.put(OlmRecord(.seen, key: "a", touched: 5))
        #expect(try table.records(.session, owner: "peer").map(\.key) == ["b", "c", "a"])
        try table.put(OlmRecord(.session, owner: "peer", key: "a", value: [7], touched: 4))
        #expect(try table.records(.session, owner: "peer").map(\.key) == ["a", "b", "c"])
        #expect(try table.record(.session, owner: "peer", key: "a")?.value == [7])
        try table.trim(.session, owner: "peer", to: 2)
        #expect(try table.records(.session, owner: "peer").map(\.key) == ["a", "b"])
        #expect(Set(try table.owners(.session)) == ["peer", "other"])
        #expect(try table.count(.session) == 3)
        let fullest = try #require(try table.fullestOwner(.session))
        #expect(fullest.owner == "peer")
        #expect(fullest.count == 2)
        #expect(try table.fullestOwner(.waiting) == nil)
        try table.trim(.session, owner: nil, to: 1)
        #expect(try table.owners(.session) == ["other"])
        #expect(try table.removeOlder(.session, than: 9) == 0)
        #expect(try table.removeOlder(.session, than: 10) == 1)
        try table.remove(.seen, owner: "", key: "b")
        #expect(try table.record(.seen, owner: "", key: "a") != nil)
        try table.removeAll(.seen, owner: "")
        #expect(try table.records(.seen, owner: "").isEmpty)
        try table.put(OlmRecord(.user, key: "a", touched: 1))
        try table.clear()
        #expect(try table.owners(.user).isEmpty)
    }

    @Test("a message whose transaction fails can be read again; one that is stored counts once")
    func rollback() throws {
        let (ours, theirs) = (try connection(), try connection())
        var device = try OlmDevice(creating: bot, key: key(), in: OlmTable(ours), at: Self.start)
        var other = try OlmDevice(creating: alice, key: key(2), in: OlmTable(theirs), at: Self.start)
        // Both know each other.
        for (asking, store, asked, published) in [
            (bot, OlmTable(ours), other, OlmTable(theirs)), (alice, OlmTable(theirs), device, OlmTable(ours)),
        ] {
            let user = asked.address.user.rawValue
            let identity = try asked.makeCrossSigning(in: published, at: Self.start)
            let keys = try #require(identity.signatures[user]?[asked.address.device.rawValue])
            let answer: JSONValue = .object([
                "device_keys": .object([user: .object([asked.address.device.rawValue: keys])]),
                "master_keys": .object([user: try #require(identity.keys["master_key"])]),
                "self_signing_keys": .object([user: try #require(identity.keys["self_signing_key"])]),
            ])
            let users: Set = [asked.address.user]
            let refused =
                asking == bot
                ? try device.takeQuery(answer, for: users, in: store, at: Self.start)
                : try other.takeQuery(answer, for: users, in: store, at: Self.start)
            #expect(refused.isEmpty)
        }
        let upload = try #require(
            try device.keyUpload(oneTimeKeyCount: 0, unusedFallbackKeyTypes: [], in: OlmTable(ours), at: Self.start))
        let oneTime = try #require(upload["one_time_keys"]?.object?.first)
        let claimed: JSONValue = .object([
            "one_time_keys": .object([
                bot.user.rawValue: .object([bot.device.rawValue: .object([oneTime.key: oneTime.value])])
            ])
        ])
        let keys = try #require(try other.device(bot, in: OlmTable(theirs)))
        #expect(try other.takeClaim(claimed, for: [keys], in: OlmTable(theirs), at: Self.start).isEmpty)
        let content = try #require(
            try other.encrypt("a.b", ["n": .integer(1)], to: keys, in: OlmTable(theirs)))
        let event: JSONValue = .object([
            "type": .string("m.room.encrypted"), "sender": .string(alice.user.rawValue), "content": .object(content),
        ])
        let message = ToDeviceOutcome.message(
            ToDeviceMessage(sender: alice, type: "a.b", content: ["n": .integer(1)]))

        #expect(throws: Undone.self) {
            try ours.transaction { connection in
                #expect(try device.receive(event, in: OlmTable(connection), at: Self.start) == message)
                throw Undone()
            }
        }
        #expect(try ours.transaction { try device.receive(event, in: OlmTable($0), at: Self.start) } == message)
        #expect(
            try ours.transaction { try device.receive(event, in: OlmTable($0), at: Self.start) }
                == .refused(.repetition, from: alice.user))
        var restored = try #require(try OlmDevice(restoring: bot.user, key: key(), from: OlmTable(ours)))
        #expect(
            try restored.receive(event, in: OlmTable(ours), at: Self.start) == .refused(.repetition, from: alice.user))
        #expect(throws: OlmFault.self) { try OlmDevice(restoring: bot.user, key: key(3), from: OlmTable(ours)) }
    }

    @Test("the key file is made once, for its owner alone, and one of another length is refused")
    func keyFile() throws {
        let folder = try TemporaryDatabase()
        let path = EncryptionKeyFile.path(in: folder.folder.path)
        let made = try EncryptionKeyFile.load(path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let store = OlmTable(try connection())
        _ = try OlmDevice(creating: bot, key: made, in: store, at: Self.start)
        #expect(try OlmDevice(restoring: bot.user, key: EncryptionKeyFile.load(path), from: store) != nil)
        for count in [0, 31, 33] {
            try Data(count: count).write(to: URL(fileURLWithPath: path))
            #expect(throws: EncryptionKeyFile.Fault.self) { try EncryptionKeyFile.load(path) }
        }
        #expect(throws: EncryptionKeyFile.Fault.self) { try EncryptionKeyFile.load(folder.folder.path) }
    }
}
