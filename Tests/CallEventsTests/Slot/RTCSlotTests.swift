// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Slots, MSC4143")
struct RTCSlotTests {
    static func slot(_ content: String, key: String = "m.call#room") throws -> CallEvent {
        CallEvent.decode(
            try EventSamples.event(
                EventSamples.text(type: "org.matrix.msc4143.rtc.slot", content: content, stateKey: key)))
    }

    @Test("an open slot")
    func open() throws {
        guard case .slot(let slot) = CallEvent.decode(try EventSamples.event(EventSamples.slot())) else {
            Issue.record("not a slot")
            return
        }
        #expect(slot.isOpen)
        #expect(slot.slotID == .roomCall)
        #expect(slot.encryptionType == "m.per_member")
    }

    @Test(
        "a slot without status is open when it has an application",
        arguments: [("{}", false), (#"{"application":{"type":"m.call"}}"#, true)])
    func implied(_ content: String, _ isOpen: Bool) throws {
        guard case .slot(let slot) = try Self.slot(content) else {
            Issue.record("not a slot")
            return
        }
        #expect(slot.isOpen == isOpen)
    }

    @Test(
        "malformed slots are refused",
        arguments: [
            (#"{"status":"ajar"}"#, "m.call#room", EventRefusal.unknownSlotStatus),
            (#"{"status":"open"}"#, "m.call#room", .missingApplication),
            (#"{"status":"open","application":{"type":"m.board"}}"#, "m.call#room", .slotApplicationMismatch),
            ("{}", "room", .malformedSlotID), ("{}", "", .malformedSlotID), ("{}", "m.call#a#b", .malformedSlotID),
            ("{}", "#room", .malformedSlotID), ("{}", "m.call#", .malformedSlotID),
        ])
    func refusals(_ content: String, _ key: String, _ refusal: EventRefusal) throws {
        #expect(try Self.slot(content, key: key) == .refused(refusal))
    }

    @Test("two spellings of the room's slot are shown as one")
    func displayed() throws {
        #expect(SlotID.compatibilityRoomCall.displayed == .roomCall)
        #expect(SlotID.compatibilityRoomCall != .roomCall)
        #expect(try #require(SlotID("m.call#lobby")).displayed.name == "lobby")
    }
}
