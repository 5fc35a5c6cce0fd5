// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Room events of a transaction")
struct RoomEventTests {
    @Test("the envelope is read")
    func envelope() throws {
        let event = try EventSamples.event(EventSamples.draft(sticky: 60_000))
        #expect(event.type == "org.matrix.msc4143.rtc.member")
        #expect(event.sender.rawValue == "@alice:example.com")
        #expect(event.stateKey == nil)
        #expect(event.age == 12)
        #expect(event.stickyDuration == 60_000)
        #expect(event.originServerTimestamp == EventSamples.now)
        #expect(!event.isRedacted)
    }

    @Test(
        "a broken envelope is refused for its reason",
        arguments: [
            (#""type":"x""#, #""type":7"#, EventRefusal.invalidType),
            (#""type":"x""#, #""type":"""#, .invalidType),
            (#""@alice:example.com""#, #""alice""#, .invalidSender),
            (#""!room:example.com""#, "null", .invalidRoomID),
            (#""$event""#, #""event""#, .invalidEventID),
            (#""state_key":"k""#, #""state_key":1"#, .invalidStateKey),
            ("1790000000000", "-1", .invalidTimestamp),
            ("1790000000000", "9007199254740992", .invalidTimestamp),
            ("1790000000000", #""now""#, .invalidTimestamp),
            (#""content":{}"#, #""content":[]"#, .invalidContent),
        ])
    func refusals(_ original: String, _ replacement: String, _ refusal: EventRefusal) throws {
        let text = EventSamples.text(type: "x", content: "{}", stateKey: "k")
        let parts = text.split(separator: original, maxSplits: 1)
        try #require(parts.count == 2 || text.hasSuffix(original + "}"))
        let broken = parts[0] + replacement + (parts.count == 2 ? parts[1] : "}")
        #expect(RoomEvent.decode(try EventSamples.json(String(broken))) == .failure(refusal))
    }

    @Test("what is no object is no event")
    func notAnObject() {
        #expect(RoomEvent.decode(.array([])) == .failure(.notAnObject))
    }

    @Test("an oversize type or state key is refused")
    func oversize() throws {
        let long = String(repeating: "k", count: 256)
        #expect(
            RoomEvent.decode(try EventSamples.json(EventSamples.text(type: long, content: "{}")))
                == .failure(.oversizeField))
        #expect(
            RoomEvent.decode(try EventSamples.json(EventSamples.text(type: "x", content: "{}", stateKey: long)))
                == .failure(.oversizeField))
    }

    @Test("a decrypted event keeps stickiness and sender and names the device")
    func decrypted() throws {
        let outer = try EventSamples.event(
            EventSamples.text(type: "m.room.encrypted", content: "{}", sticky: 3_600_000))
        let content = try #require(try EventSamples.json(EventSamples.stickyContent()).object)
        let device = try #require(DeviceID("PROVEN"))
        let inner = outer.decrypted(type: "m.rtc.member", content: content, by: device)
        #expect(inner.stickyDuration == 3_600_000)
        guard case .membership(.joined(let membership)) = CallEvent.decode(inner) else {
            Issue.record("not a membership")
            return
        }
        #expect(membership.deviceID == device)
    }

    @Test("unrelated events are other, redactions name their target")
    func others() throws {
        #expect(
            CallEvent.decode(try EventSamples.event(EventSamples.text(type: "m.room.message", content: "{}"))) == .other
        )
        let target = try EventSamples.eventID("$gone")
        #expect(CallEvent.decode(try EventSamples.event(EventSamples.redaction(of: "$gone"))) == .redaction(target))
        let inner = EventSamples.text(type: "m.room.redaction", content: #"{"redacts":"$gone"}"#)
        #expect(CallEvent.decode(try EventSamples.event(inner)) == .redaction(target))
        let none = EventSamples.text(type: "m.room.redaction", content: "{}")
        #expect(CallEvent.decode(try EventSamples.event(none)) == .refused(.missingRedactionTarget))
        let member = EventSamples.text(type: "m.room.member", content: "{}", stateKey: "@a:h")
        #expect(CallEvent.decode(try EventSamples.event(member)) == .refused(.invalidRoomMember))
    }
}
