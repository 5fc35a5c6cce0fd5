// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import OlmE2EE

/// Answers and events of a homeserver that says anything: each place of a good one is replaced by something else.
@Suite("Hostile input to an Olm device")
struct OlmHostileInputTests {
    private var server = KeyServer()
    private var alice: Party
    private var bot: Party

    private static let replacements: [JSONValue] = [
        .null, .bool(true), .integer(-1), .integer(.max), .number(1e300), .string(""), .string("A"),
        .string(String(repeating: "A", count: 43)), .string(String(repeating: "é", count: 100_000)), .array([]),
        .array([.null]), .object([:]), .object(["": .object(["": .null])]),
    ]

    init() throws {
        alice = try Party("@alice:example.org", "ALICE")
        bot = try Party("@bot:example.org", "BOT")
        try alice.publish(to: &server)
        try bot.publish(to: &server)
        try alice.know([bot.device.address.user], from: server)
        try bot.know([alice.device.address.user], from: server)
        _ = try alice.claim(bot.device.address, at: &server)
    }

    /// Every version of `value` with one place replaced, or one member missing.
    private func variants(of value: JSONValue) -> [JSONValue] {
        var variants = Self.replacements
        switch value {
        case .object(let members):
            for (name, member) in members {
                variants.append(.object(members.filter { $0.key != name }))
                variants += self.variants(of: member).map { .object(members.merging([name: $0]) { $1 }) }
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                variants += self.variants(of: element).map { variant in
                    var elements = elements
                    elements[index] = variant
                    return .array(elements)
                }
            }
        case .null, .bool, .integer, .number, .string: break
        }
        return variants
    }

    @Test("to-device events")
    mutating func toDevice() throws {
        let good = try alice.event("a.b", ["n": .integer(1)], to: bot.device.address)
        for event in variants(of: good) where event != good {
            // What surrounds the ciphertext may differ without harm; the message inside is the same or none.
            if case .message(let message) = try bot.receive(event) {
                #expect(message.type == "a.b")
                #expect(message.sender == alice.device.address)
            }
        }
    }

    @Test("what is inside a to-device message")
    mutating func inside() throws {
        for content in variants(
            of: .object(["algorithm": .string("m.megolm.v1.aes-sha2"), "room_id": .string("!r:s")]))
        {
            guard let content = content.object else { continue }
            let outcome = try bot.receive(alice.event("m.room_key", content, to: bot.device.address))
            // One that is too large is refused before it is decrypted.
            let refusals = [OlmRefusal.malformedRoomKey, .malformed].map { refusal in
                ToDeviceOutcome.refused(refusal, from: alice.device.address.user)
            }
            #expect(refusals.contains(outcome))
        }
    }

    @Test("answers about keys")
    mutating func answers() throws {
        let user = alice.device.address.user
        for answer in variants(of: server.query()) {
            var device = bot.device
            _ = try device.takeQuery(answer, for: [user], in: bot.store, at: bot.now)
            for keys in try device.devices(of: user, in: bot.store) {
                #expect(keys.ed25519 == alice.device.ed25519)
            }
            _ = try bot.device.compare(answer, in: bot.store)
        }
        try bot.device.devicesChanged(of: [user], in: bot.store)
        _ = try bot.query(server)
        let keys = try unwrapped(try bot.device.device(alice.device.address, in: bot.store))
        let claimed = server.claim(alice.device.address)
        for answer in variants(of: claimed) where answer != claimed {
            _ = try bot.device.takeClaim(answer, for: [keys], in: bot.store, at: bot.now)
        }
        #expect(try bot.device.takeClaim(claimed, for: [keys], in: bot.store, at: bot.now).isEmpty)
    }

    @Test("events of rooms")
    mutating func roomEvents() throws {
        let room = try unwrapped(RoomID("!room:example.org"))
        let keys = try unwrapped(try alice.device.device(bot.device.address, in: alice.store))
        let distribution = try alice.device.distribution(of: room, to: [keys], in: alice.store, at: alice.now)
        _ = try bot.receive(alice.event("m.room_key", distribution.content, to: bot.device.address))
        let good = try unwrapped(
            try alice.device.encrypt("m.room.message", ["n": .integer(1)], in: room, store: alice.store))
        for content in variants(of: .object(good)) {
            guard let content = content.object else { continue }
            let event = RoomEvent(
                type: "m.room.encrypted", sender: alice.device.address.user, roomID: room,
                eventID: try unwrapped(EventID("$1")), originServerTimestamp: 0, content: content)
            if case .opened(let opened) = try bot.device.open(event, in: bot.store, at: bot.now) {
                #expect(opened.type == "m.room.message")
                #expect(opened.content["n"] == .integer(1))
            }
        }
    }

    @Test("users whose ids look alike, composed and not, are neither asked for nor believed")
    mutating func canonicallyEqual() throws {
        let users = try ["@\u{e9}:evil.example", "@e\u{301}:evil.example"].map { try unwrapped(UserID($0)) }
        #expect(users[0] != users[1])
        let good = try unwrapped(alice.event("a.b", [:], to: bot.device.address)["content"])
        for user in users {
            let event: JSONValue = .object([
                "type": .string("m.room.encrypted"), "sender": .string(user.rawValue), "content": good,
            ])
            #expect(try bot.receive(event) == .refused(.identifierNotASCII, from: user))
        }
        try bot.device.needDevices(of: users, in: bot.store, at: bot.now)
        #expect(!bot.device.needsQuery)
        // Whoever asks all the same is not stopped by it.
        #expect(OlmDevice.queryBody(for: Set(users))["device_keys"]?.object?.count == 1)
    }
}
