// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import OlmE2EE

@Suite("Encrypted rooms")
struct EncryptedRoomTests {
    private var server = KeyServer()
    private var alice: Party
    private var bot: Party
    private let room: RoomID
    private let text: JSONObject = ["body": .string("ping")]

    init() throws {
        room = try unwrapped(RoomID("!room:example.org"))
        alice = try Party("@alice:example.org", "ALICE")
        bot = try Party("@bot:example.org", "BOT")
        try alice.publish(to: &server)
        try bot.publish(to: &server)
        try alice.know([bot.device.address.user], from: server)
        try bot.know([alice.device.address.user], from: server)
        _ = try alice.claim(bot.device.address, at: &server)
    }

    private var botKeys: DeviceKeys {
        get throws { try unwrapped(try alice.device.device(bot.device.address, in: alice.store)) }
    }

    private func event(_ content: JSONObject, id: String, sender: String = "@alice:example.org") throws -> RoomEvent {
        RoomEvent(
            type: "m.room.encrypted", sender: try unwrapped(UserID(sender)), roomID: room,
            eventID: try unwrapped(EventID(id)), originServerTimestamp: 1, content: content)
    }

    /// Alice encrypts for the room as it is, and gives the key to whoever lacks it.
    private mutating func write(
        to devices: [DeviceKeys], withKey: Bool = true,
    ) throws -> (content: JSONObject, distribution: RoomKeyDistribution, outcomes: [ToDeviceOutcome]) {
        let distribution = try alice.device.distribution(of: room, to: devices, in: alice.store, at: alice.now)
        var outcomes: [ToDeviceOutcome] = []
        for recipient in distribution.recipients where withKey {
            let key = try alice.event("m.room_key", distribution.content, to: recipient.address)
            outcomes.append(try bot.receive(key))
        }
        try alice.device.wereSent(
            distribution, to: distribution.recipients.map(\.address), told: distribution.refused.map(\.address),
            in: alice.store, at: alice.now)
        let content = try unwrapped(try alice.device.encrypt("m.room.message", text, in: room, store: alice.store))
        return (content, distribution, outcomes)
    }

    @Test("an event is read with the key that came before, once")
    mutating func read() throws {
        let sent = try write(to: [botKeys])
        #expect(sent.outcomes == [.roomKey(room, sessionID: sent.distribution.sessionID)])
        let encrypted = try event(sent.content, id: "$1")
        let opened = encrypted.decrypted(type: "m.room.message", content: text, by: alice.device.address.device)
        #expect(try bot.device.open(encrypted, in: bot.store, at: bot.now) == .opened(opened))
        #expect(try bot.device.open(encrypted, in: bot.store, at: bot.now) == .opened(opened))
        #expect(
            try bot.device.open(event(sent.content, id: "$2"), in: bot.store, at: bot.now) == .refused(.replay))
        #expect(
            try bot.device.open(event(sent.content, id: "$3", sender: "@carol:example.org"), in: bot.store, at: bot.now)
                == .missingKey(sessionID: sent.distribution.sessionID))
        // The next one goes without a new key.
        #expect(try write(to: [botKeys]).distribution.recipients.isEmpty)
    }

    @Test("an event before its key is named by its session")
    mutating func missing() throws {
        let sent = try write(to: [botKeys], withKey: false)
        #expect(
            try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now)
                == .missingKey(sessionID: sent.distribution.sessionID))
        let key = try alice.event("m.room_key", sent.distribution.content, to: bot.device.address)
        #expect(try bot.receive(key) == .roomKey(room, sessionID: sent.distribution.sessionID))
        guard case .opened = try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now) else {
            Issue.record("the event is not read with the key that came later")
            return
        }
    }

    @Test("broken events and keys are refused by name")
    mutating func broken() throws {
        let sent = try write(to: [botKeys])
        var content = sent.content
        for (change, refusal): ((inout JSONObject) -> Void, OlmRefusal) in [
            ({ $0["algorithm"] = nil }, .unknownAlgorithm), ({ $0["ciphertext"] = .string("") }, .malformed),
            ({ $0["ciphertext"] = .string("AAAA") }, .eventUndecryptable),
            ({ $0["session_id"] = .string("short") }, .malformed),
        ] {
            content = sent.content
            change(&content)
            #expect(
                try bot.device.open(event(content, id: "$1"), in: bot.store, at: bot.now) == .refused(refusal))
        }
        let sender = alice.device.address.user
        for (member, value, refusal) in [
            ("session_key", JSONValue.string("AAAA"), OlmRefusal.malformedRoomKey),
            ("room_id", .string("nothing"), .malformedRoomKey),
            ("session_id", .string(bot.device.curve25519), .roomKeyMismatch),
        ] {
            var key = sent.distribution.content
            key[member] = value
            #expect(
                try bot.receive(alice.event("m.room_key", key, to: bot.device.address))
                    == .refused(refusal, from: sender))
        }
    }

    /// Carol, whom the bot knows and who has a session with it.
    private mutating func carol() throws -> Party {
        var carol = try Party("@carol:example.org", "CAROL")
        try carol.publish(to: &server)
        try carol.know([bot.device.address.user], from: server)
        _ = try carol.claim(bot.device.address, at: &server)
        try bot.know([carol.device.address.user], from: server)
        return carol
    }

    @Test(
        "who passes a session on as theirs, before its owner or after, opens nothing and takes nothing",
        arguments: [true, false])
    mutating func stolenSession(isFirst: Bool) throws {
        let sent = try write(to: [botKeys], withKey: !isFirst)
        var carol = try self.carol()
        let id = sent.distribution.sessionID
        #expect(
            try bot.receive(carol.event("m.room_key", sent.distribution.content, to: bot.device.address))
                == .roomKey(room, sessionID: id))
        if isFirst {
            #expect(
                try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now)
                    == .missingKey(sessionID: id))
            let key = try alice.event("m.room_key", sent.distribution.content, to: bot.device.address)
            #expect(try bot.receive(key) == .roomKey(room, sessionID: id))
        }
        guard case .opened(let opened) = try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now)
        else {
            Issue.record("the owner's event is not read")
            return
        }
        #expect(opened.encryptingDevice == alice.device.address.device)
        #expect(opened.sender == alice.device.address.user)
    }

    @Test("room keys of one user push out nobody else's, and no key that is in use")
    mutating func manyRoomKeys() throws {
        let sent = try write(to: [botKeys])
        _ = try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now)
        let carol = try self.carol()
        for number in 0..<OlmDevice.Limit.unprovenInboundOfUser + 5 {
            for party in [alice, carol] {
                // For the room, and for rooms that nobody knows.
                let name = number.isMultiple(of: 2) ? room.rawValue : "!r\(number):example.org"
                let session = try MegolmOutbound()
                let content: JSONObject = [
                    "algorithm": .string(OlmDevice.Algorithm.megolm), "room_id": .string(name),
                    "session_id": .string(try session.id()), "session_key": .string(try session.sessionKey()),
                ]
                bot.now += 1
                let message = ToDeviceMessage(sender: party.device.address, type: "m.room_key", content: content)
                guard case .roomKey = try bot.device.takeRoomKey(message, in: bot.store, at: bot.now) else {
                    Issue.record("a good key was not taken")
                    return
                }
            }
        }
        for party in [alice, carol] {
            #expect(
                bot.store.records(.unprovenInbound, owner: party.device.address.user.rawValue).count
                    == OlmDevice.Limit.unprovenInboundOfUser)
        }
        let next = try write(to: [botKeys])
        guard case .opened = try bot.device.open(event(next.content, id: "$2"), in: bot.store, at: bot.now) else {
            Issue.record("the key in use is gone")
            return
        }
    }

    @Test("a damaged session is removed, and its owner can give it again")
    mutating func damaged() throws {
        let sent = try write(to: [botKeys])
        let id = sent.distribution.sessionID
        let (owner, name) = (alice.device.address.user.rawValue, RoomKeyRecord.key(room, id))
        let broken = RoomKeyRecord(sender: alice.device.address, pickle: Array("damaged".utf8))
        bot.store.put(OlmRecord(.unprovenInbound, owner: owner, key: name, json: broken.json, touched: bot.now))
        #expect(
            try bot.device.open(event(sent.content, id: "$1"), in: bot.store, at: bot.now)
                == .missingKey(sessionID: id))
        bot.store.put(OlmRecord(.unprovenInbound, owner: owner, key: name, json: broken.json, touched: bot.now))
        let key = try alice.event("m.room_key", sent.distribution.content, to: bot.device.address)
        #expect(try bot.receive(key) == .roomKey(room, sessionID: id))
        // Ours as well.
        alice.store.put(OlmRecord(.outbound, owner: room.rawValue, value: [1], touched: alice.now))
        #expect(try write(to: [botKeys]).distribution.sessionID != id)
        for record in alice.store.records(.session, owner: bot.device.address.storeKey) {
            alice.store.put(OlmRecord(.session, owner: record.owner, key: record.key, value: [1], touched: alice.now))
        }
        #expect(try alice.device.encrypt("a.b", [:], to: botKeys, in: alice.store) == nil)
        #expect(try !alice.device.hasSession(with: botKeys, in: alice.store))
    }

    @Test("a new session begins when somebody leaves, after a hundred events and after a week")
    mutating func rotation() throws {
        let first = try write(to: [botKeys]).distribution.sessionID
        #expect(try write(to: [botKeys]).distribution.sessionID == first)
        let second = try write(to: []).distribution.sessionID
        #expect(second != first)
        for _ in 1..<100 { #expect(try write(to: []).distribution.sessionID == second) }
        let third = try write(to: []).distribution.sessionID
        #expect(third != second)
        alice.now += 7 * 24 * 3_600_000 - 1
        #expect(try write(to: []).distribution.sessionID == third)
        alice.now += 1
        #expect(try write(to: []).distribution.sessionID != third)
        #expect(try OlmDevice.isEncrypted(room, in: alice.store))
    }

    @Test("who was about to get the key has it, though nobody knows whether it arrived")
    mutating func intended() throws {
        let keys = try botKeys
        let first = try alice.device.distribution(of: room, to: [keys], in: alice.store, at: alice.now)
        try alice.device.willBeSent(first, in: alice.store, at: alice.now)
        // Not for sure: it is sent again.
        let again = try alice.device.distribution(of: room, to: [keys], in: alice.store, at: alice.now)
        #expect(again.sessionID == first.sessionID)
        #expect(again.recipients == [keys])
        // The recipient left meanwhile.
        #expect(
            try alice.device.distribution(of: room, to: [], in: alice.store, at: alice.now).sessionID
                != first.sessionID)
    }

    @Test("a session of which it is forgotten who has it is not used again")
    mutating func forgottenShares() throws {
        let first = try write(to: [botKeys]).distribution.sessionID
        for number in 0..<OlmDevice.Limit.shares - 2 {
            alice.store.append(OlmRecord(.share, owner: first, key: "@u:s\nD\(number)", value: [1], touched: alice.now))
        }
        #expect(alice.store.count(.share) == OlmDevice.Limit.shares)
        _ = try alice.device.tidy(in: alice.store, at: alice.now)
        #expect(alice.store.count(.share) == OlmDevice.Limit.shares)
        alice.store.append(OlmRecord(.share, owner: "other", key: "@u:s\nE", value: [1], touched: alice.now))
        _ = try alice.device.tidy(in: alice.store, at: alice.now)
        #expect(alice.store.count(.share) == 1)
        #expect(try write(to: [botKeys]).distribution.sessionID != first)
    }

    @Test("that a room is encrypted survives a new device")
    mutating func remembered() throws {
        _ = try write(to: [botKeys])
        _ = try OlmDevice(creating: alice.device.address, key: Party.key(), in: alice.store, at: alice.now)
        #expect(try OlmDevice.isEncrypted(room, in: alice.store))
    }

    @Test("a device that is not cross-signed is told once that it gets no key")
    mutating func withheld() throws {
        var carol = try Party("@carol:example.org", "CAROL")
        try carol.publish(to: &server, crossSigned: false)
        try alice.know([carol.device.address.user], from: server)
        let devices = try alice.device.devices(of: carol.device.address.user, in: alice.store)
        let sent = try write(to: devices)
        #expect(sent.distribution.recipients.isEmpty)
        #expect(sent.distribution.refused == devices)
        #expect(
            sent.distribution.withheld(senderKey: alice.device.curve25519)["code"] == .string("m.unverified"))
        #expect(try write(to: devices).distribution.refused.isEmpty)
    }

    @Test("relations stand outside, for servers to read")
    mutating func relations() throws {
        _ = try write(to: [botKeys])
        let relation: JSONValue = .object(["rel_type": .string("m.replace")])
        let content = try unwrapped(
            try alice.device.encrypt("m.room.message", ["m.relates_to": relation], in: room, store: alice.store))
        #expect(content["m.relates_to"] == relation)
    }
}
