// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("News for an encrypted device, and events that wait for their keys")
struct DeviceNewsTests {
    private let bot = FakeHomeserver.bot
    private let device = Identifier.device("BOT")

    private func json(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    @Test("both spellings are read, the stable ones first; other users and devices are left out")
    func spellings() throws {
        let message = #"{"to_user_id":"@callbot:example.com","to_device_id":"BOT","type":"a"}"#
        let other = #"{"to_user_id":"@callbot:example.com","to_device_id":"OTHER","type":"b"}"#
        for prefixes in [("", ""), ("de.sorunome.msc2409.", "org.matrix.msc3202.")] {
            let body = try json(
                """
                {"\(prefixes.0)to_device":[\(message),\(other),7],
                "\(prefixes.1)device_lists":{"changed":["@a:b","nobody"],"left":[]},
                "\(prefixes.1)device_one_time_keys_count":{"@callbot:example.com":{"BOT":{"signed_curve25519":3}}},
                "\(prefixes.1)device_unused_fallback_key_types":{"@callbot:example.com":{"BOT":["signed_curve25519"]}}}
                """)
            let news = DeviceNews(ofTransaction: body, user: bot, device: device)
            #expect(news.toDevice == [try json(message)])
            #expect(news.changedUsers == [Identifier.user("@a:b")])
            #expect(news.oneTimeKeyCount == 3)
            #expect(news.unusedFallbackKeyTypes == ["signed_curve25519"])
        }
    }

    @Test("an empty object of counts means none, no word about the device means nothing")
    func counts() throws {
        let none = try json(#"{"org.matrix.msc3202.device_one_time_keys_count":{"@callbot:example.com":{"BOT":{}}}}"#)
        #expect(DeviceNews(ofTransaction: none, user: bot, device: device).oneTimeKeyCount == 0)
        let other = try json(
            #"{"org.matrix.msc3202.device_one_time_keys_count":{"@callbot:example.com":{"MASTER":{}}}}"#)
        #expect(DeviceNews(ofTransaction: other, user: bot, device: device).oneTimeKeyCount == nil)
        let sync = try json(
            #"{"device_one_time_keys_count":{"signed_curve25519":9},"device_unused_fallback_key_types":[]}"#)
        #expect(DeviceNews(ofSync: sync).oneTimeKeyCount == 9)
        #expect(DeviceNews(ofSync: sync).unusedFallbackKeyTypes == [])
        #expect(DeviceNews(ofSync: .object([:])).oneTimeKeyCount == nil)
        #expect(DeviceNews(ofSync: .object([:])).unusedFallbackKeyTypes == nil)
    }

    @Test("nonsense is nothing", arguments: ["7", "null", #"{"to_device":{}}"#, #"{"device_lists":[]}"#])
    func nonsense(text: String) throws {
        for news in [
            DeviceNews(ofTransaction: try json(text), user: bot, device: device), DeviceNews(ofSync: try json(text)),
        ] {
            #expect(news.toDevice.isEmpty)
            #expect(news.changedUsers.isEmpty)
            #expect(news.oneTimeKeyCount == nil)
        }
    }

    private func event(_ number: Int, room: String = "!room", sender: String = "@a:b") throws -> RoomEvent {
        RoomEvent(
            type: "m.room.encrypted", sender: Identifier.user(sender), roomID: Identifier.room(room),
            eventID: try #require(EventID("$\(number)")), originServerTimestamp: 0, content: [:])
    }

    @Test("events wait in their order, within bounds, for a minute")
    func held() throws {
        var held = HeldEvents()
        #expect(try held.hold(event(1), sessionID: "one", at: 1_000) == nil)
        #expect(try held.hold(event(2), sessionID: "two", at: 1_000) == nil)
        #expect(try held.hold(event(3), sessionID: "one", at: 1_000) == nil)
        #expect(try held.hold(event(3), sessionID: "one", at: 1_000) == nil, "the same again is no other")
        #expect(held.release(Identifier.room("!other"), sessionID: "one").isEmpty)
        #expect(held.release(Identifier.room("!room"), sessionID: "one").map(\.eventID.rawValue) == ["$1", "$3"])
        #expect(held.expire(at: 61_000).isEmpty)
        #expect(held.expire(at: 61_001).map(\.eventID.rawValue) == ["$2"])
    }

    @Test("where too many wait, the oldest of whoever has the most goes: nobody takes room from others")
    func heldBounds() throws {
        var held = HeldEvents()
        for number in 0..<HeldEvents.maximumCountOfSender {
            #expect(try held.hold(event(number), sessionID: "one", at: 0) == nil)
        }
        #expect(try held.hold(event(-1), sessionID: "one", at: 0)?.eventID.rawValue == "$0")
        for number in HeldEvents.maximumCountOfSender..<HeldEvents.maximumCountOfRoom {
            #expect(try held.hold(event(number, sender: "@\(number):b"), sessionID: "one", at: 0) == nil)
        }
        #expect(try held.hold(event(-2, sender: "@c:b"), sessionID: "one", at: 0)?.eventID.rawValue == "$1")
        for number in HeldEvents.maximumCountOfRoom..<HeldEvents.maximumCount {
            #expect(
                try held.hold(event(number, room: "!r\(number)", sender: "@\(number):b"), sessionID: "one", at: 0)
                    == nil)
        }
        let displaced = try held.hold(event(-3, room: "!last", sender: "@d:b"), sessionID: "one", at: 0)
        #expect(displaced?.roomID == Identifier.room("!room"))
        #expect(held.all.count == HeldEvents.maximumCount)
    }

    @Test("messages that are no objects, such as those passed over for their size, are counted and not taken")
    func noObjects() {
        let messages = JSONValue.array([.null, .integer(1), .object([:])])
        #expect(DeviceNews(ofTransaction: .object(["to_device": messages]), user: bot, device: device).surplus == 2)
        let sync = DeviceNews(ofSync: .object(["to_device": .object(["events": messages])]))
        #expect(sync.surplus == 2)
        #expect(sync.toDevice == [.object([:])])
    }

    @Test("what goes beyond the messages of a transaction or a sync is counted")
    func surplus() throws {
        let messages = JSONValue.array(Array(repeating: .object([:]), count: DeviceNews.maximumMessages + 2))
        let sync = DeviceNews(ofSync: .object(["to_device": .object(["events": messages])]))
        #expect(sync.surplus == 2)
        #expect(sync.toDevice.count == DeviceNews.maximumMessages)
        #expect(DeviceNews(ofTransaction: .object(["to_device": messages]), user: bot, device: device).surplus == 2)
        let counts: JSONObject = ["one_time_key_counts": .object(["signed_curve25519": .integer(7)])]
        #expect(DeviceNews(ofUpload: .object(counts)).oneTimeKeyCount == 7)
    }
}
