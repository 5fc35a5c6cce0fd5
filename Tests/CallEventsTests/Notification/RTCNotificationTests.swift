// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Ring and notify, MSC4075")
struct RTCNotificationTests {
    static func decode(_ type: String, _ content: String) throws -> CallEvent {
        CallEvent.decode(try EventSamples.event(EventSamples.text(type: type, content: content)))
    }

    static func notification(_ type: String, _ content: String) throws -> RTCNotification {
        guard case .notification(let notification) = try decode(type, content) else { throw EventRefusal.notAnObject }
        return notification
    }

    @Test("the deployed layout")
    func deployed() throws {
        guard case .notification(let ring) = CallEvent.decode(try EventSamples.event(EventSamples.notification)) else {
            Issue.record("no notification")
            return
        }
        #expect(ring.layout == .deployed)
        #expect(ring.kind == .ring)
        #expect(ring.sentAt == EventSamples.now + 1000)
        #expect(ring.expiresAt == EventSamples.now + 31_000)
        #expect(ring.intent == .audio)
        #expect(ring.mentionsRoom)
        #expect(ring.mentionedUsers.map(\.rawValue) == ["@bob:example.com"])
        #expect(ring.membershipEventID?.rawValue == "$membership")
    }

    @Test("the layout under application, with its own cap")
    func application() throws {
        let ring = try Self.notification(
            "m.rtc.notification",
            #"""
            {"application":{"type":"m.call","notification_type":"notification","sender_ts":1790000000000,
             "lifetime":999999,"m.call.intent":"video","device_id":"D"},"m.text":[],
             "m.mentions":{"user_ids":["@bob:example.com",7,"bob"]}}
            """#)
        #expect(ring.layout == .application)
        #expect(ring.kind == .notification)
        #expect(ring.lifetime == 120_000)
        #expect(ring.claimedDeviceID?.rawValue == "D")
        #expect(ring.mentionedUsers.count == 1)
        #expect(ring.mentions(try EventSamples.user("@bob:example.com")))
        #expect(!ring.mentions(try EventSamples.user("@carol:example.com")))
    }

    @Test(
        "times and lifetimes are bounded",
        arguments: [
            (#""sender_ts":1790000020000"#, EventSamples.now + 20_000, 30_000 as Milliseconds),
            (#""sender_ts":1790000020001"#, EventSamples.now, 30_000),
            (#""sender_ts":0"#, EventSamples.now, 30_000),
            (#""lifetime":90001"#, EventSamples.now, 90_000),
            (#""lifetime":-5"#, EventSamples.now, 30_000),
        ])
    func bounds(_ field: String, _ sentAt: UnixMilliseconds, _ lifetime: Milliseconds) throws {
        let ring = try Self.notification(
            "org.matrix.msc4075.rtc.notification", #"{"notification_type":"ring",\#(field)}"#)
        #expect(ring.sentAt == sentAt)
        #expect(ring.lifetime == lifetime)
    }

    @Test("the old call.notify")
    func callNotify() throws {
        let type = "org.matrix.msc4075.call.notify"
        let ring = try Self.notification(type, #"{"notify_type":"notify","application":"m.call","call_id":""}"#)
        #expect(ring.layout == .callNotify)
        #expect(ring.kind == .notification)
        #expect(
            try Self.decode(type, #"{"notify_type":"ring","application":"m.call","call_id":"x"}"#)
                == .refused(.callNotOfRoom))
        #expect(
            try Self.decode(type, #"{"notify_type":"ring","application":"x","call_id":""}"#)
                == .refused(.otherApplication))
    }

    @Test("an unknown kind or application is refused")
    func refusals() throws {
        let type = "m.rtc.notification"
        #expect(try Self.decode(type, #"{"notification_type":"shout"}"#) == .refused(.unknownNotificationType))
        #expect(try Self.decode(type, "{}") == .refused(.unknownNotificationType))
        #expect(try Self.decode(type, #"{"application":{"type":"x"}}"#) == .refused(.otherApplication))
    }

    @Test("mentions are bounded")
    func mentionLimit() throws {
        let users = Array(repeating: #""@b:h""#, count: 1200).joined(separator: ",")
        let ring = try Self.notification(
            "m.rtc.notification", #"{"notification_type":"ring","m.mentions":{"user_ids":[\#(users)]}}"#)
        #expect(ring.mentionedUsers.count == RTCNotification.maximumMentionCount)
    }
}

@Suite("Declines, MSC4310")
struct RTCDeclineTests {
    @Test("a decline refers to the notification", arguments: ["org.matrix.msc4310.rtc.decline", "m.rtc.decline"])
    func decline(_ type: String) throws {
        let content = #"{"m.relates_to":{"rel_type":"m.reference","event_id":"$n"}}"#
        guard case .decline(let decline) = try RTCNotificationTests.decode(type, content) else {
            Issue.record("no decline")
            return
        }
        #expect(decline.notificationEventID.rawValue == "$n")
        #expect(try RTCNotificationTests.decode(type, "{}") == .refused(.missingReference))
        let thread = #"{"m.relates_to":{"rel_type":"m.thread","event_id":"$n"}}"#
        #expect(try RTCNotificationTests.decode(type, thread) == .refused(.missingReference))
    }
}
