// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import OlmE2EE

@Suite("Messages with a right MAC and a ciphertext that is no AES-CBC")
struct ForgedMessageTests {
    private let mallory: DeviceKeys
    private var bot: Party

    init() throws {
        let address = DeviceAddress(
            user: try unwrapped(UserID("@mallory:example.org")), device: try unwrapped(DeviceID("MALLORY")))
        mallory = try unwrapped(
            DeviceKeys(
                OlmRecord(
                    .device, owner: address.user.rawValue, key: address.device.rawValue,
                    json: [
                        "curve25519": .string(ForgedMessages.identityKey),
                        "ed25519": .string(String(repeating: "A", count: 43)), "cross_signed": .bool(true),
                    ], touched: Party.start)))
        bot = try Party("@bot:example.org", "BOT")
        bot.store.clear()
        bot.store.put(
            OlmRecord(.account, key: "BOT", value: Array(ForgedMessages.account.utf8), touched: Party.start))
        bot.store.put(mallory.record(at: Party.start))
        bot.device = try unwrapped(OlmDevice(restoring: bot.device.address.user, key: Party.key(), from: bot.store))
    }

    private func event(_ body: String) -> JSONValue {
        .object([
            "type": .string("m.room.encrypted"), "sender": .string(mallory.address.user.rawValue),
            "content": .object([
                "algorithm": .string(OlmDevice.Algorithm.olm), "sender_key": .string(mallory.curve25519),
                "ciphertext": .object([
                    bot.device.curve25519: .object(["type": .integer(0), "body": .string(body)])
                ]),
            ]),
        ])
    }

    @Test("Olm: refused before libolm writes a byte, while a good one of the same sender is read")
    mutating func olm() throws {
        for (length, body) in ForgedMessages.messages {
            let account = try OlmAccount(pickle: Array(ForgedMessages.account.utf8), key: Party.key())
            let session = try account.makeInboundSession(
                identityKey: mallory.curve25519, message: Array(body.utf8))
            #expect(throws: OlmFault.badFormat, "\(length) bytes") {
                try session.decrypt(OlmMessage(kind: .preKey, body: Array(body.utf8)))
            }
            #expect(try bot.receive(event(body)) == .refused(.undecryptable, from: mallory.address.user))
        }
        #expect(
            try bot.receive(event(ForgedMessages.message))
                == .message(ToDeviceMessage(sender: mallory.address, type: "a.b", content: [:])))
    }

    @Test("Megolm: refused before libolm writes a byte, while a good one of the same session is read")
    mutating func megolm() throws {
        let session = try MegolmInbound(sessionKey: ForgedMessages.sessionKey)
        for (length, ciphertext) in ForgedMessages.events {
            #expect(throws: OlmFault.badFormat, "\(length) bytes") { try session.decrypt(ciphertext) }
        }
        let good = try session.decrypt(ForgedMessages.event)
        #expect(try JSONValue.parse(good.plain)["content"]?["body"] == .string("x"))
        #expect(good.index == 0)

        let room = try unwrapped(RoomID("!room:example.org"))
        let key = ToDeviceMessage(
            sender: mallory.address, type: "m.room_key",
            content: [
                "algorithm": .string(OlmDevice.Algorithm.megolm), "room_id": .string(room.rawValue),
                "session_id": .string(ForgedMessages.sessionID),
                "session_key": .string(ForgedMessages.sessionKey),
            ])
        #expect(
            try bot.device.takeRoomKey(key, in: bot.store, at: bot.now)
                == .roomKey(room, sessionID: ForgedMessages.sessionID))
        for ciphertext in ForgedMessages.events.values {
            let event = RoomEvent(
                type: "m.room.encrypted", sender: mallory.address.user, roomID: room,
                eventID: try unwrapped(EventID("$1")), originServerTimestamp: 1,
                content: [
                    "algorithm": .string(OlmDevice.Algorithm.megolm),
                    "session_id": .string(ForgedMessages.sessionID), "ciphertext": .string(ciphertext),
                ])
            #expect(try bot.device.open(event, in: bot.store, at: bot.now) == .refused(.eventUndecryptable))
        }
    }
}
