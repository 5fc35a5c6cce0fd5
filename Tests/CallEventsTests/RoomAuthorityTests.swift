// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Room authority: creation, power levels, tombstone")
struct RoomAuthorityTests {
    static let member = "org.matrix.msc3401.call.member"

    func content(_ text: String) throws -> JSONObject { try #require(EventSamples.json(text).object) }

    func creation(_ text: String) throws -> RoomCreation {
        RoomCreation(sender: try EventSamples.user("@founder:example.com"), content: try content(text))
    }

    @Test(
        "who has which level",
        arguments: [
            // version, power levels (nil: no event), user, level
            ("10", nil, "@founder:example.com", PowerLevel.value(100)),
            ("10", nil, "@alice:example.com", .value(0)),
            ("10", "{}", "@founder:example.com", .value(0)),
            ("10", #"{"users":{"@alice:example.com":50}}"#, "@alice:example.com", .value(50)),
            ("10", #"{"users":{"@alice:example.com":50}}"#, "@bob:example.com", .value(0)),
            ("10", #"{"users_default":7}"#, "@bob:example.com", .value(7)),
            ("10", #"{"users_default":-1}"#, "@bob:example.com", .value(-1)),
            ("9", #"{"users":{"@alice:example.com":" 25 "}}"#, "@alice:example.com", .value(25)),
            ("10", #"{"users":{"@alice:example.com":{}},"users_default":"x"}"#, "@alice:example.com", .value(0)),
            ("10", #"{"users":{"no user":100,"@alice:example.com":1}}"#, "@alice:example.com", .value(1)),
            ("10", #"{"users":[]}"#, "@alice:example.com", .value(0)),
            ("12", nil, "@founder:example.com", .creator),
            ("12", #"{"users_default":3}"#, "@founder:example.com", .creator),
            ("12", #"{"users_default":3}"#, "@second:example.com", .creator),
            ("12", #"{"users_default":3}"#, "@alice:example.com", .value(3)),
            ("org.matrix.hydra.11", nil, "@founder:example.com", .creator),
            ("11", #"{"users_default":3}"#, "@second:example.com", .value(3)),
            ("13", nil, "@founder:example.com", .creator),
        ] as [(String, String?, String, PowerLevel)])
    func levels(version: String, levels: String?, user: String, expected: PowerLevel) throws {
        let authority = RoomAuthority(
            creation: try creation(
                #"{"room_version":"\#(version)","additional_creators":["@second:example.com","nobody",7]}"#),
            powerLevels: try levels.map { RoomPowerLevels(try content($0)) })
        #expect(authority.level(of: try EventSamples.user(user)) == expected)
    }

    @Test(
        "what needs which level",
        arguments: [
            (nil, RoomAuthority.Action.sendState(member), 50),
            (nil, .sendMessage("m.rtc.member"), 0),
            ("{}", .kick, 50),
            (#"{"state_default":10}"#, .sendState(member), 10),
            (#"{"events":{"org.matrix.msc3401.call.member":0}}"#, .sendState(member), 0),
            (#"{"events":{"org.matrix.msc3401.call.member":"5"}}"#, .sendState(member), 5),
            (#"{"events":{"org.matrix.msc3401.call.member":null}}"#, .sendState(member), 50),
            (#"{"events_default":20}"#, .sendMessage("m.rtc.member"), 20),
            (#"{"ban":60,"redact":70,"kick":80}"#, .ban, 60),
            (#"{"ban":60,"redact":70,"kick":80}"#, .redact, 70),
            (#"{"ban":60,"redact":70,"kick":80}"#, .kick, 80),
            (#"{"kick":1e300}"#, .kick, 50),
            (#"{"kick":99999999999999999}"#, .kick, 9_007_199_254_740_991),
        ] as [(String?, RoomAuthority.Action, Int64)])
    func needs(levels: String?, action: RoomAuthority.Action, expected: Int64) throws {
        let authority = RoomAuthority(powerLevels: try levels.map { RoomPowerLevels(try content($0)) })
        #expect(authority.levelNeeded(for: action) == .value(expected))
    }

    @Test("a creator stands above every number, and before version 12 the named creator counts")
    func creators() throws {
        #expect(PowerLevel.creator > .value(.max))
        let old = try creation(#"{"creator":"@other:example.com"}"#)
        #expect(old.version == "1")
        #expect(old.creators == [try EventSamples.user("@other:example.com")])
        #expect(!old.privilegesCreators)
    }

    @Test("the events are read at the empty state key only")
    func decoding() throws {
        func decode(_ type: String, _ content: String, key: String? = "") throws -> CallEvent {
            CallEvent.decode(try EventSamples.event(EventSamples.text(type: type, content: content, stateKey: key)))
        }
        #expect(try decode("m.room.power_levels", "{}") == .powerLevels(RoomPowerLevels([:])))
        #expect(try decode("m.room.power_levels", "{}", key: "x") == .other)
        #expect(try decode("m.room.power_levels", "{}", key: nil) == .other)
        #expect(try decode("m.room.encryption", "{}") == .encryption)
        guard case .creation = try decode("m.room.create", "{}") else { throw Unexpected.event }
        guard case .tombstone(let next) = try decode("m.room.tombstone", #"{"replacement_room":"!next"}"#),
            case .tombstone(let none) = try decode("m.room.tombstone", #"{"replacement_room":7}"#)
        else { throw Unexpected.event }
        #expect(next.replacement?.rawValue == "!next")
        #expect(none.replacement == nil)
    }

    private enum Unexpected: Error { case event }
}
