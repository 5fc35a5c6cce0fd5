// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("MatrixRTC memberships, MSC3401 as deployed and MSC4143")
struct RTCMembershipTests {
    static func joined(_ text: String) throws -> RTCMembership {
        let decoded = CallEvent.decode(try EventSamples.event(text))
        guard case .membership(.joined(let membership)) = decoded else {
            Issue.record("\(decoded)")
            throw EventRefusal.notAnObject
        }
        return membership
    }

    /// `content` with one replacement.
    static func changed(_ content: String, _ original: String, _ replacement: String) throws -> String {
        let parts = content.split(separator: original, maxSplits: 1, omittingEmptySubsequences: false)
        try #require(parts.count == 2, "\(original) is not in the sample")
        return parts[0] + replacement + parts[1]
    }

    @Test("a state membership")
    func session() throws {
        let membership = try Self.joined(EventSamples.session())
        #expect(membership.generation == .sessionState)
        #expect(membership.deviceID?.rawValue == "DEVICE")
        #expect(membership.memberID == "@alice:example.com:DEVICE")
        #expect(membership.liveKitIdentity == .plain("@alice:example.com:DEVICE"))
        #expect(membership.slotID == .compatibilityRoomCall)
        #expect(membership.intent == .audio)
        #expect(membership.expiry == .session(createdAt: EventSamples.now, lifetime: 14_400_000))
        #expect(membership.focusSelection == .multipleFoci)
        #expect(
            membership.transports == [
                .liveKitService(url: "https://rtc.example.com/livekit/jwt", alias: "!room:example.com")
            ])
    }

    @Test(
        "every form of state key is read by its content",
        arguments: [
            "_@alice:example.com_DEVICE_m.call", "@alice:example.com_DEVICE_m.call", "_@alice:example.com_DEVICE",
            "@alice:example.com", "anything", "",
        ])
    func stateKeys(_ key: String) throws {
        #expect(try Self.joined(EventSamples.session(key: key)).deviceID?.rawValue == "DEVICE")
    }

    @Test(
        "a state key of another user is refused", arguments: ["@bob:example.com", "_@alice:example.comx_DEVICE_m.call"])
    func foreignStateKey(_ key: String) throws {
        #expect(
            CallEvent.decode(try EventSamples.event(EventSamples.session(key: key)))
                == .refused(.stateKeyOfOtherUser))
    }

    @Test(
        "a state membership that lacks something is refused",
        arguments: [
            (#""device_id":"DEVICE","#, "", EventRefusal.missingDeviceID),
            (#""device_id":"DEVICE""#, #""device_id":"""#, .missingDeviceID),
            (#""call_id":"","#, "", .missingCallID),
            (#""call_id":"""#, #""call_id":"other""#, .callNotOfRoom),
            (#""application":"m.call","#, "", .missingApplication),
            (#""application":"m.call""#, #""application":"m.board""#, .otherApplication),
            (#""focus_active":{"type":"livekit","#, #""focus_active":{"#, .missingFocus),
            (#""expires":14400000"#, #""expires":-1"#, .invalidExpiry),
            (#""expires":14400000"#, #""expires":"soon""#, .invalidExpiry),
            (#""created_ts":1790000000000"#, #""created_ts":1.5"#, .invalidExpiry),
            (#""application""#, #""memberships":[{}],"application""#, .membershipList),
        ])
    func sessionRefusals(_ original: String, _ replacement: String, _ refusal: EventRefusal) throws {
        let content = try Self.changed(EventSamples.sessionContent(), original, replacement)
        #expect(CallEvent.decode(try EventSamples.event(EventSamples.session(content: content))) == .refused(refusal))
    }

    @Test("missing times have defaults")
    func defaults() throws {
        var content = try Self.changed(EventSamples.sessionContent(), #""expires":14400000,"#, "")
        content = try Self.changed(content, #""created_ts":1790000000000,"#, "")
        #expect(
            try Self.joined(EventSamples.session(content: content)).expiry
                == .session(createdAt: EventSamples.now, lifetime: 14_400_000))
    }

    @Test("the forms of a leave")
    func leaves() throws {
        let forms: [(String, LeaveReason)] = [
            (EventSamples.session(content: "{}"), .unstated),
            (EventSamples.session(content: #"{"memberships":[]}"#), .unstated),
            (EventSamples.draft(content: #"{"msc4354_sticky_key":"uuid"}"#), .unstated),
            (
                EventSamples.draft(
                    content: #"{"member":{"id":"u","membership":"leave"},"slot_id":"m.call#ROOM","sticky_key":"u"}"#),
                .unstated
            ),
            (
                EventSamples.sticky(
                    content:
                        #"{"member":{"id":"u","membership":"leave"},"leave_reason":{"code":"delayed_leave"},"sticky_key":"u"}"#
                ), .delayedLeave
            ),
            (
                EventSamples.sticky(
                    content:
                        #"{"member":{"id":"u","membership":"leave"},"leave_reason":{"code":"new"},"sticky_key":"u"}"#
                ), .unstated
            ),
        ]
        for (text, reason) in forms {
            #expect(CallEvent.decode(try EventSamples.event(text)) == .membership(.left(reason)))
        }
    }

    @Test("a sticky membership of the draft")
    func draft() throws {
        let membership = try Self.joined(EventSamples.draft())
        #expect(membership.generation == .stickyDraft)
        #expect(membership.memberID == "uuid")
        #expect(membership.intent == .video)
        #expect(membership.slotID.description == "m.call#ROOM")
        #expect(membership.expiry == .sticky(sentAt: EventSamples.now, duration: 3_600_000))
        #expect(
            membership.liveKitIdentity
                == .hashed(input: Array(#"["@alice:example.com","DEVICE","uuid"]"#.utf8)))
        #expect(membership.transports == [.liveKitService(url: "https://rtc.example.com/livekit/jwt", alias: nil)])
    }

    @Test("the draft with claimed ids and published transports")
    func laterDraft() throws {
        let content = #"""
            {"slot_id":"m.call#ROOM","application":{"type":"m.call"},"sticky_key":"u","msc4354_sticky_key":"u",
             "member":{"id":"u","claimed_user_id":"@alice:example.com","claimed_device_id":"D","membership":"join"},
             "transports":{"published":[{"type":"livekit","livekit_service_url":"https://a"},{"type":"new"},{},7]}}
            """#
        let membership = try Self.joined(EventSamples.draft(content: content))
        #expect(membership.generation == .stickyDraft)
        #expect(membership.deviceID?.rawValue == "D")
        #expect(membership.transports == [.liveKitService(url: "https://a", alias: nil), .other(type: "new")])
    }

    @Test("a sticky membership as settled")
    func sticky() throws {
        let membership = try Self.joined(EventSamples.sticky())
        #expect(membership.generation == .sticky)
        #expect(membership.deviceID == nil)
        #expect(membership.intent == nil)
        #expect(membership.liveKitIdentity == .hashed(input: Array(#"["@alice:example.com","uuid"]"#.utf8)))
        #expect(membership.transports == [.liveKitSFU(url: "wss://rtc.example.com")])
    }

    @Test(
        "a sticky membership that contradicts itself is refused",
        arguments: [
            (#""slot_id":"m.call#ROOM""#, #""slot_id":"m.callROOM""#, EventRefusal.malformedSlotID),
            (#""slot_id":"m.call#ROOM""#, #""slot_id":"m.call##ROOM""#, .malformedSlotID),
            (#""slot_id":"m.call#ROOM""#, #""slot_id":"m.board#ROOM""#, .slotApplicationMismatch),
            (#""slot_id":"m.call#ROOM","#, "", .missingSlotID),
            (#""type":"m.call","#, "", .missingApplication),
            (#""id":"uuid","#, #""id":"else","#, .stickyKeyMismatch),
            (#""id":"uuid","#, "", .missingMemberID),
            (#""user_id":"@alice:example.com""#, #""user_id":"@bob:example.com""#, .memberOfOtherUser),
            (#""user_id":"@alice:example.com""#, #""claimed_user_id":7"#, .memberOfOtherUser),
            (#""device_id":"DEVICE""#, #""device_id":7"#, .missingDeviceID),
            (#""id":"uuid","#, #""id":"uuid","membership":"knock","#, .unknownMembership),
            (#""msc4354_sticky_key":"uuid""#, #""msc4354_sticky_key":"uuid","sticky_key":"x""#, .stickyKeyMismatch),
            (#","msc4354_sticky_key":"uuid""#, "", .missingStickyKey),
        ])
    func stickyRefusals(_ original: String, _ replacement: String, _ refusal: EventRefusal) throws {
        let content = try Self.changed(EventSamples.draftContent(), original, replacement)
        #expect(CallEvent.decode(try EventSamples.event(EventSamples.draft(content: content))) == .refused(refusal))
    }

    @Test("another application's slot is no call")
    func otherApplication() throws {
        var content = try Self.changed(EventSamples.draftContent(), "m.call#ROOM", "m.board#ROOM")
        content = try Self.changed(content, #""type":"m.call""#, #""type":"m.board""#)
        #expect(
            CallEvent.decode(try EventSamples.event(EventSamples.draft(content: content)))
                == .refused(.otherApplication))
    }

    @Test("a member event must be sticky and no state")
    func wrongKind() throws {
        #expect(CallEvent.decode(try EventSamples.event(EventSamples.draft(sticky: nil))) == .refused(.notSticky))
        let state = EventSamples.text(
            type: "m.rtc.member", content: EventSamples.stickyContent(), stateKey: "", sticky: 1)
        #expect(CallEvent.decode(try EventSamples.event(state)) == .refused(.unexpectedStateKey))
        let message = EventSamples.text(
            type: "org.matrix.msc3401.call.member", content: EventSamples.sessionContent())
        #expect(CallEvent.decode(try EventSamples.event(message)) == .refused(.missingStateKey))
    }

    @Test("transports are bounded")
    func transportLimits() throws {
        let one = JSONValue.object(["type": .string("livekit"), "livekit_service_url": .string("https://a")])
        #expect(RTCTransport.list(.array(Array(repeating: one, count: 40))).count == RTCTransport.maximumCount)
        let long = JSONValue.string(String(repeating: "a", count: 2049))
        #expect(RTCTransport(.object(["type": .string("m.livekit"), "url": long])) == nil)
    }

    @Test(
        "intents", arguments: [("audio", CallIntent.audio), ("voice", .audio), ("video", .video), ("hologram", .video)])
    func intents(_ word: String, _ intent: CallIntent) {
        #expect(CallIntent(JSONValue.string(word)) == intent)
        #expect(CallIntent(JSONValue.integer(1)) == nil)
    }
}

@Suite("Expiry of memberships, MSC4354")
struct MembershipExpiryTests {
    @Test("a state event ends by its own account, but not later than a day from now")
    func session() {
        let now = EventSamples.now
        #expect(MembershipExpiry.session(createdAt: now - 10, lifetime: 100).deadline(receivedAt: now) == now + 90)
        #expect(
            MembershipExpiry.session(createdAt: now, lifetime: EventTime.maximum).deadline(receivedAt: now)
                == now + 86_400_000)
        #expect(MembershipExpiry.session(createdAt: .max, lifetime: .max).deadline(receivedAt: .max) == .max)
    }

    @Test("a sticky event counts from the earlier of sending and receiving, for at most an hour")
    func sticky() {
        let now = EventSamples.now
        #expect(MembershipExpiry.sticky(sentAt: now - 50, duration: 100).deadline(receivedAt: now) == now + 50)
        #expect(MembershipExpiry.sticky(sentAt: now + 50, duration: 100).deadline(receivedAt: now) == now + 100)
        #expect(MembershipExpiry.sticky(sentAt: now, duration: 7_200_000).deadline(receivedAt: now) == now + 3_600_000)
    }
}
