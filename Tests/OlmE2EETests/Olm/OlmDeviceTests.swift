// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import OlmE2EE

@Suite("An Olm device")
struct OlmDeviceTests {
    private var server = KeyServer()
    private var alice: Party
    private var bot: Party
    private let content: JSONObject = ["n": .integer(1)]

    init() throws {
        alice = try Party("@alice:example.org", "ALICE")
        bot = try Party("@bot:example.org", "BOT")
        try alice.publish(to: &server)
        try bot.publish(to: &server)
        try alice.know([bot.device.address.user], from: server)
        try bot.know([alice.device.address.user], from: server)
        #expect(try alice.claim(bot.device.address, at: &server).isEmpty)
    }

    private func message(_ type: String, _ content: JSONObject, from party: Party) -> ToDeviceOutcome {
        .message(ToDeviceMessage(sender: party.device.address, type: type, content: content))
    }

    /// The event with another body of its ciphertext.
    private func corrupted(_ event: JSONValue, for party: Party) throws -> JSONValue {
        try changed(event, for: party) { body in
            let middle = body.index(body.startIndex, offsetBy: body.count / 2)
            let other: Character = body[middle] == "A" ? "B" : "A"
            return body.replacingCharacters(at: middle, with: other)
        }
    }

    private func changed(_ event: JSONValue, for party: Party, _ change: (String) -> String) throws -> JSONValue {
        var content = try unwrapped(event["content"]?.object)
        var ciphertext = try unwrapped(content["ciphertext"]?[party.device.curve25519]?.object)
        ciphertext["body"] = .string(change(try unwrapped(ciphertext["body"]?.string)))
        content["ciphertext"] = .object([party.device.curve25519: .object(ciphertext)])
        return .object([
            "type": .string("m.room.encrypted"), "sender": event["sender"] ?? .null, "content": .object(content),
        ])
    }

    @Test("messages go both ways, also after both devices were stored and restored")
    mutating func exchange() throws {
        #expect(
            try bot.receive(alice.event("a.b", content, to: bot.device.address)) == message("a.b", content, from: alice)
        )
        bot.device = try unwrapped(
            OlmDevice(restoring: bot.device.address.user, key: Party.key(), from: bot.store))
        #expect(
            try alice.receive(bot.event("b.a", content, to: alice.device.address)) == message("b.a", content, from: bot)
        )
        alice.device = try unwrapped(
            OlmDevice(restoring: alice.device.address.user, key: Party.key(), from: alice.store))
        #expect(
            try bot.receive(alice.event("a.c", content, to: bot.device.address)) == message("a.c", content, from: alice)
        )
        let other = try unwrapped(PickleKey([UInt8](repeating: 8, count: 32)))
        #expect(throws: OlmFault.self) {
            try OlmDevice(restoring: bot.device.address.user, key: other, from: bot.store)
        }
    }

    @Test("the same ciphertext counts once")
    mutating func repetition() throws {
        let event = try alice.event("a.b", content, to: bot.device.address)
        #expect(try bot.receive(event) == message("a.b", content, from: alice))
        #expect(try bot.receive(event) == .refused(.repetition, from: alice.device.address.user))
    }

    @Test("a message of an unknown device waits for the keys of its sender's devices")
    mutating func unknownDevice() throws {
        bot.store.remove(.device, owner: "@alice:example.org", key: "ALICE")
        bot.store.remove(.user, owner: "", key: "@alice:example.org")
        #expect(try bot.receive(alice.event("a.b", content, to: bot.device.address)) == .waiting)
        #expect(bot.device.needsQuery)
        // A restart in between loses nothing.
        bot.device = try unwrapped(OlmDevice(restoring: bot.device.address.user, key: Party.key(), from: bot.store))
        #expect(try bot.query(server) == [message("a.b", content, from: alice)])
        let event = try alice.event("a.b", content, to: bot.device.address)
        bot.store.remove(.device, owner: "@alice:example.org", key: "ALICE")
        #expect(try bot.receive(event) == .waiting)
        server.forget(alice.device.address)
        #expect(try bot.query(server) == [.refused(.unknownDevice, from: alice.device.address.user)])
    }

    @Test("messages that wait are bounded, and not for ever")
    mutating func waiting() throws {
        bot.store.remove(.device, owner: "@alice:example.org", key: "ALICE")
        for _ in 0..<OlmDevice.Limit.waitingOfSender {
            #expect(try bot.receive(alice.event("a.b", content, to: bot.device.address)) == .waiting)
        }
        #expect(
            try bot.receive(alice.event("a.b", content, to: bot.device.address))
                == .refused(.tooManyWaiting, from: alice.device.address.user))
        // In the order in which they came, also within one millisecond.
        #expect(
            bot.store.records(.waiting, owner: "example.org").reversed().compactMap { WaitingMessage($0)?.number }
                == Array(1...OlmDevice.Limit.waitingOfSender))
        #expect(try bot.device.tidy(in: bot.store, at: bot.now + 3_600_000) == 0)
        #expect(try bot.device.tidy(in: bot.store, at: bot.now + 3_600_001) == OlmDevice.Limit.waitingOfSender)
    }

    /// A message that only has to wait, from a user whom nobody knows.
    private func unknownMessage(from user: String, padding: Int = 0) throws -> JSONValue {
        .object([
            "type": .string("m.room.encrypted"), "sender": .string(user),
            "content": .object([
                "algorithm": .string(OlmDevice.Algorithm.olm), "sender_key": .string(alice.device.curve25519),
                "ciphertext": .object([
                    bot.device.curve25519: .object([
                        "type": .integer(0), "body": .string(String(repeating: "A", count: 4 + 4 * padding)),
                    ])
                ]), "more": .string(String(repeating: "x", count: 10_000)),
            ]),
        ])
    }

    @Test("the messages of one server that wait take no room from those of others")
    mutating func waitingOfServer() throws {
        let limit = OlmDevice.Limit.self
        for number in 0..<limit.waitingOfServer {
            #expect(try bot.receive(unknownMessage(from: "@u\(number):evil.example")) == .waiting)
        }
        let extra = try unwrapped(UserID("@extra:evil.example"))
        #expect(
            try bot.receive(unknownMessage(from: extra.rawValue)) == .refused(.tooManyWaiting, from: extra))
        #expect(!bot.device.usersToQuery.contains(extra))
        // What is not needed is not kept.
        #expect(bot.store.records(.waiting, owner: "evil.example").allSatisfy { $0.value.count < 500 })
        // With bytes as with rows.
        for number in 0..<11 {
            let outcome = try bot.receive(unknownMessage(from: "@u\(number):large.example", padding: 25_000))
            #expect((outcome == .waiting) == (number < 10))
        }
        // Full: the fullest server makes room, and it is counted.
        for number in 0..<limit.waiting {
            bot.now += 1
            #expect(try bot.receive(unknownMessage(from: "@u:s\(number).example")) == .waiting)
        }
        #expect(bot.store.count(.waiting) == limit.waiting)
        #expect(try bot.device.tidy(in: bot.store, at: bot.now) == limit.waitingOfServer + 10)
    }

    @Test("a server that does not answer is asked again, later and later, while something waits")
    mutating func unanswered() throws {
        bot.store.remove(.device, owner: "@alice:example.org", key: "ALICE")
        bot.store.remove(.user, owner: "", key: "@alice:example.org")
        #expect(try bot.receive(alice.event("a.b", content, to: bot.device.address)) == .waiting)
        let user = alice.device.address.user
        let nothing: JSONValue = .object(["device_keys": .object([:]), "failures": .object(["example.org": .null])])
        var delays: [Milliseconds] = []
        var last = bot.now
        for _ in 0..<4 {
            let users = bot.device.takeUsersToQuery(at: bot.now)
            #expect(users == [user])
            delays.append(bot.now - last)
            last = bot.now
            #expect(try bot.device.takeQuery(nothing, for: users, in: bot.store, at: bot.now).isEmpty)
            #expect(bot.device.hasWork)
            while bot.now - last < 3_600_000, !bot.device.queryTimes.isDue(user, at: bot.now) { bot.now += 1_000 }
        }
        #expect(delays == [0, 10_000, 20_000, 40_000])
        #expect(try bot.query(server) == [message("a.b", content, from: alice)])
        #expect(!bot.device.needsQuery)
        // Nothing waits: nobody asks on his own account.
        try bot.device.devicesChanged(of: [user], in: bot.store)
        let users = bot.device.takeUsersToQuery(at: bot.now)
        _ = try bot.device.takeQuery(nothing, for: users, in: bot.store, at: bot.now)
        #expect(!bot.device.needsQuery)
    }

    @Test("a user who gives reason for ever new questions gets five a minute")
    mutating func questions() throws {
        let user = alice.device.address.user
        bot.now += 60_000
        for _ in 0..<RetryTimes<UserID>.questionsOfWindow {
            try bot.device.devicesChanged(of: [user], in: bot.store)
            #expect(bot.device.takeUsersToQuery(at: bot.now) == [user])
            _ = try bot.device.takeQuery(server.query(), for: [user], in: bot.store, at: bot.now)
        }
        try bot.device.devicesChanged(of: [user], in: bot.store)
        #expect(bot.device.takeUsersToQuery(at: bot.now + 59_999).isEmpty)
        #expect(bot.device.takeUsersToQuery(at: bot.now + 60_000) == [user])
    }

    @Test("a device that its owner has not cross-signed is not believed, until it is")
    mutating func crossSigning() throws {
        var carol = try Party("@carol:example.org", "CAROL")
        try carol.publish(to: &server, crossSigned: false)
        try carol.know([bot.device.address.user], from: server)
        _ = try carol.claim(bot.device.address, at: &server)
        #expect(try bot.receive(carol.event("a.b", content, to: bot.device.address)) == .waiting)
        #expect(try bot.query(server) == [.refused(.notCrossSigned, from: carol.device.address.user)])
        #expect(try bot.receive(carol.event("a.b", content, to: bot.device.address)) == .waiting)
        server.upload(try carol.device.makeCrossSigning(in: carol.store, at: carol.now), of: carol.device.address.user)
        #expect(try bot.query(server) == [message("a.b", content, from: carol)])
    }

    @Test("what is inside must be meant for us and come from the device outside")
    mutating func claims() throws {
        // Alice names another recipient than the one she encrypts for.
        var keys = try unwrapped(try alice.device.device(bot.device.address, in: alice.store))
        keys.ed25519 = alice.device.ed25519
        let encrypted = try unwrapped(try alice.device.encrypt("a.b", content, to: keys, in: alice.store))
        let event: JSONValue = .object([
            "type": .string("m.room.encrypted"), "sender": .string("@alice:example.org"), "content": .object(encrypted),
        ])
        #expect(try bot.receive(event) == .refused(.wrongRecipient, from: alice.device.address.user))
        #expect(
            try bot.receive(alice.event("m.room.encrypted", content, to: bot.device.address))
                == .refused(.nestedEncryption, from: alice.device.address.user))
        #expect(
            try bot.receive(alice.event("m.forwarded_room_key", content, to: bot.device.address))
                == .refused(.forwardedRoomKey, from: alice.device.address.user))
        #expect(try bot.receive(alice.event("m.dummy", [:], to: bot.device.address)) == .dummy)
    }

    @Test("clear and malformed messages are refused by name")
    mutating func malformed() throws {
        let sender = alice.device.address.user
        let good = try alice.event("a.b", content, to: bot.device.address)
        func with(_ type: String, _ content: JSONValue) -> JSONValue {
            .object(["type": .string(type), "sender": .string(sender.rawValue), "content": content])
        }
        #expect(try bot.receive(.null) == .refused(.malformed, from: nil))
        #expect(try bot.receive(with("m.room_key", .object([:]))) == .refused(.notEncrypted, from: sender))
        #expect(try bot.receive(with("m.room_key_request", .object([:]))) == .refused(.roomKeyRequest, from: sender))
        #expect(try bot.receive(with("m.room.encrypted", .object([:]))) == .refused(.unknownAlgorithm, from: sender))
        #expect(try alice.receive(good) == .refused(.notForUs, from: sender))
        for body in ["", "A", "not base64", "🙂"] {
            let event = try changed(good, for: bot) { _ in body }
            #expect(try bot.receive(event) == .refused(.malformed, from: sender))
        }
        // Whatever the bytes are, nothing breaks.
        for length in 1...200 {
            let event = try changed(good, for: bot) { String($0.prefix(length)) }
            guard case .refused = try bot.receive(event) else {
                Issue.record("\(length) characters were taken")
                continue
            }
        }
        #expect(try bot.receive(good) == message("a.b", content, from: alice))
    }

    @Test("A5: a corrupt message leads to one dummy an hour, and the next message is read")
    mutating func renewal() throws {
        let sender = alice.device.address.user
        let device = alice.device.address
        let bad = try corrupted(alice.event("a.b", content, to: bot.device.address), for: bot)
        #expect(try bot.receive(bad) == .refused(.undecryptable, from: sender))
        #expect(bot.device.devicesToRenew(at: bot.now) == [device])
        // Due until it is done, also after a restart, and not all the time when it does not succeed.
        bot.device = try unwrapped(OlmDevice(restoring: bot.device.address.user, key: Party.key(), from: bot.store))
        #expect(bot.device.devicesToRenew(at: bot.now) == [device])
        bot.device.claimTimes.failed(device, at: bot.now)
        #expect(bot.device.devicesToRenew(at: bot.now + 9_999).isEmpty)
        #expect(bot.device.devicesToRenew(at: bot.now + 10_000) == [device])
        try bot.device.wasRenewed(device, in: bot.store, at: bot.now)
        let worse = try corrupted(alice.event("a.b", content, to: bot.device.address), for: bot)
        #expect(try bot.receive(worse) == .refused(.undecryptable, from: sender))
        #expect(bot.device.devicesToRenew(at: bot.now).isEmpty)
        bot.now += 3_599_999
        #expect(try bot.receive(worse) == .refused(.undecryptable, from: sender))
        #expect(bot.device.devicesToRenew(at: bot.now).isEmpty)
        bot.now += 1
        #expect(try bot.receive(worse) == .refused(.undecryptable, from: sender))
        #expect(bot.device.devicesToRenew(at: bot.now) == [device])

        #expect(try bot.claim(alice.device.address, at: &server).isEmpty)
        #expect(try alice.receive(bot.event("m.dummy", [:], to: alice.device.address)) == .dummy)
        #expect(
            try bot.receive(alice.event("a.b", content, to: bot.device.address)) == message("a.b", content, from: alice)
        )
    }

    @Test("a device that names another's curve25519 key as its own harms only itself")
    mutating func borrowedKey() throws {
        let original = try alice.event("a.b", content, to: bot.device.address)
        let mallory = try Party("@mallory:example.org", "MALLORY")
        let user = mallory.device.address.user
        // Her own fingerprint, Alice's curve25519 key, both signed by her.
        var keys = mallory.device.signedDeviceKeys
        keys["keys"] = .object([
            "curve25519:MALLORY": .string(alice.device.curve25519), "ed25519:MALLORY": .string(mallory.device.ed25519),
        ])
        keys["signatures"] = nil
        let account = try mallory.device.account(from: mallory.store)
        server.upload(
            ["device_keys": .object(try mallory.device.sign(keys, with: account))], of: mallory.device.address)
        try bot.know([user], from: server)
        #expect(try bot.device.devices(of: user, in: bot.store).map(\.curve25519) == [alice.device.curve25519])

        // Alice's message, as if Mallory had sent it: what it uses is there for the original.
        let stolen: JSONValue = .object([
            "type": .string("m.room.encrypted"), "sender": .string(user.rawValue),
            "content": original["content"] ?? .null,
        ])
        #expect(try bot.receive(stolen) == .waiting)
        #expect(try bot.query(server) == [.refused(.wrongSender, from: user)])
        #expect(try bot.receive(original) == message("a.b", content, from: alice))
        // Garbage of hers uses up her fresh session, not Alice's.
        let next = try alice.event("a.b", content, to: bot.device.address)
        let garbage = try corrupted(next, for: bot)
        let hers: JSONValue = .object([
            "type": .string("m.room.encrypted"), "sender": .string(user.rawValue),
            "content": garbage["content"] ?? .null,
        ])
        #expect(try bot.receive(hers) == .waiting)
        #expect(try bot.query(server) == [.refused(.undecryptable, from: user)])
        #expect(bot.device.devicesToRenew(at: bot.now) == [mallory.device.address])
        #expect(try bot.receive(garbage) == .refused(.undecryptable, from: alice.device.address.user))
        #expect(bot.device.devicesToRenew(at: bot.now) == [mallory.device.address, alice.device.address])
        // Her device goes; Alice's sessions stay.
        server.forget(mallory.device.address)
        try bot.device.devicesChanged(of: [user], in: bot.store)
        _ = try bot.query(server)
        let known = try unwrapped(try bot.device.device(alice.device.address, in: bot.store))
        #expect(try bot.device.hasSession(with: known, in: bot.store))
        #expect(try bot.receive(next) == message("a.b", content, from: alice))
    }

    @Test("of one peer the last used sessions are kept")
    mutating func sessionLimit() throws {
        for _ in 0..<OlmDevice.Limit.sessionsOfPeer + 3 {
            alice.now += 1
            _ = try alice.claim(bot.device.address, at: &server)
        }
        let sessions = alice.store.records(.session, owner: bot.device.address.storeKey)
        #expect(sessions.count == OlmDevice.Limit.sessionsOfPeer)
        #expect(
            try bot.receive(alice.event("a.b", content, to: bot.device.address)) == message("a.b", content, from: alice)
        )
    }

    @Test("both sides begin a session at once: all messages are read")
    mutating func crossing() throws {
        #expect(try bot.claim(alice.device.address, at: &server).isEmpty)
        let there = try alice.event("a.b", content, to: bot.device.address)
        let back = try bot.event("b.a", content, to: alice.device.address)
        #expect(try bot.receive(there) == message("a.b", content, from: alice))
        #expect(try alice.receive(back) == message("b.a", content, from: bot))
        #expect(
            try bot.receive(alice.event("a.b", content, to: bot.device.address)) == message("a.b", content, from: alice)
        )
    }
}

extension String {
    fileprivate func replacingCharacters(at index: Index, with character: Character) -> String {
        String(self[..<index]) + String(character) + String(self[self.index(after: index)...])
    }
}
