// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

/// Events as a homeserver pushes them, one of every shape that is read.
enum EventSamples {
    static let now: UnixMilliseconds = 1_790_000_000_000
    static let roomID = "!room:example.com"

    static func user(_ text: String) throws -> UserID { try #require(UserID(text)) }
    static func room(_ text: String = roomID) throws -> RoomID { try #require(RoomID(text)) }
    static func eventID(_ text: String) throws -> EventID { try #require(EventID(text)) }

    static func json(_ text: String) throws -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

    static func text(
        type: String,
        content: String,
        sender: String = "@alice:example.com",
        room: String = roomID,
        id: String = "$event",
        stateKey: String? = nil,
        time: UnixMilliseconds = now,
        sticky: Milliseconds? = nil,
        more: String = "",
    ) -> String {
        let key = stateKey.map { #""state_key":"\#($0)","# } ?? ""
        let marker = sticky.map { #""msc4354_sticky":{"duration_ms":\#($0)},"# } ?? ""
        return #"""
            {"type":"\#(type)","sender":"\#(sender)","room_id":"\#(room)","event_id":"\#(id)",\#(key)\#(marker)\#(more)
             "origin_server_ts":\#(time),"unsigned":{"age":12},"content":\#(content)}
            """#
    }

    static func event(_ text: String) throws -> RoomEvent { try RoomEvent.decode(json(text)).get() }

    // MARK: Generation A

    static func sessionContent(
        device: String = "DEVICE",
        createdAt: UnixMilliseconds = now,
        expires: Milliseconds = 14_400_000,
        intent: String = "audio",
        selection: String = "multi_sfu",
        url: String = "https://rtc.example.com/livekit/jwt",
    ) -> String {
        #"""
        {"application":"m.call","call_id":"","scope":"m.room","device_id":"\#(device)","membershipID":"x",
         "expires":\#(expires),"created_ts":\#(createdAt),"m.call.intent":"\#(intent)",
         "focus_active":{"type":"livekit","focus_selection":"\#(selection)"},
         "foci_preferred":[{"type":"livekit","livekit_service_url":"\#(url)","livekit_alias":"!room:example.com"}]}
        """#
    }

    static func session(
        _ sender: String = "@alice:example.com",
        device: String = "DEVICE",
        id: String = "$event",
        room: String = roomID,
        key: String? = nil,
        content: String? = nil,
        createdAt: UnixMilliseconds = now,
        expires: Milliseconds = 14_400_000,
    ) -> String {
        text(
            type: "org.matrix.msc3401.call.member",
            content: content ?? sessionContent(device: device, createdAt: createdAt, expires: expires),
            sender: sender, room: room, id: id, stateKey: key ?? "_\(sender)_\(device)_m.call")
    }

    // MARK: Generations B and C

    static func draftContent(member: String = "uuid", device: String = "DEVICE", slot: String = "m.call#ROOM") -> String
    {
        #"""
        {"slot_id":"\#(slot)","application":{"type":"m.call","m.call.intent":"video"},
         "member":{"id":"\#(member)","user_id":"@alice:example.com","device_id":"\#(device)"},
         "rtc_transports":[{"type":"livekit","livekit_service_url":"https://rtc.example.com/livekit/jwt"}],
         "versions":[],"msc4354_sticky_key":"\#(member)"}
        """#
    }

    static func draft(
        content: String = draftContent(),
        id: String = "$event",
        time: UnixMilliseconds = now,
        sticky: Milliseconds? = 3_600_000,
    ) -> String {
        text(type: "org.matrix.msc4143.rtc.member", content: content, id: id, time: time, sticky: sticky)
    }

    static func stickyContent(member: String = "uuid", slot: String = "m.call#room") -> String {
        #"""
        {"slot_id":"\#(slot)","member":{"id":"\#(member)","membership":"join"},"application":{"type":"m.call"},
         "transports":{"published":[{"type":"m.livekit","url":"wss://rtc.example.com"}],"can_subscribe":["m.livekit"]},
         "sticky_key":"\#(member)"}
        """#
    }

    static func sticky(
        content: String = stickyContent(),
        id: String = "$event",
        time: UnixMilliseconds = now,
        sticky: Milliseconds? = 3_600_000,
    ) -> String {
        text(type: "m.rtc.member", content: content, id: id, time: time, sticky: sticky)
    }

    static func slot(status: String = "open", key: String = "m.call#room", id: String = "$slot") -> String {
        text(
            type: "m.rtc.slot",
            content: #"{"status":"\#(status)","application":{"type":"m.call"},"encryption":{"type":"m.per_member"}}"#,
            id: id, stateKey: key)
    }

    static func roomMember(_ user: String, _ membership: String) -> String {
        text(
            type: "m.room.member", content: #"{"membership":"\#(membership)"}"#, sender: "@admin:example.com",
            id: "$member", stateKey: user)
    }

    static func redaction(of target: String) -> String {
        text(type: "m.room.redaction", content: "{}", id: "$redaction", more: #""redacts":"\#(target)","#)
    }

    // MARK: Everything

    static let notification = text(
        type: "org.matrix.msc4075.rtc.notification",
        content: #"""
            {"notification_type":"ring","sender_ts":1790000001000,"lifetime":30000,"m.call.intent":"audio",
             "m.mentions":{"user_ids":["@bob:example.com"],"room":true},
             "m.relates_to":{"rel_type":"m.reference","event_id":"$membership"}}
            """#)

    static let toDeviceKey = #"""
        {"keys":{"index":0,"key":"AAECAwQFBgcICQoLDA0ODw=="},"room_id":"!room:hs",
         "member":{"id":"@user:hs:DEVICE","claimed_device_id":"DEVICE"},
         "session":{"call_id":"","application":"m.call","scope":"m.room"},"sent_ts":1790000000000}
        """#

    static func legacy(_ name: String, _ fields: String, version: String = #""1""#) -> String {
        let separator = fields.isEmpty ? "" : ","
        return text(
            type: "m.call.\(name)",
            content: #"{"call_id":"c1","party_id":"P","version":\#(version)\#(separator)\#(fields)}"#)
    }

    static let metadata = #""sdp_stream_metadata":{"s1":{"purpose":"m.usermedia","audio_muted":true}}"#

    static let every: [String] = [
        session(), session(content: "{}"), draft(), draft(content: #"{"msc4354_sticky_key":"uuid"}"#), sticky(),
        sticky(
            content: #"{"member":{"id":"u","membership":"leave"},"leave_reason":{"code":"leave"},"sticky_key":"u"}"#),
        slot(), notification, roomMember("@alice:example.com", "leave"), redaction(of: "$event"),
        text(
            type: "m.rtc.decline",
            content: #"{"m.relates_to":{"rel_type":"m.reference","event_id":"$notification"}}"#),
        text(
            type: "org.matrix.msc4075.call.notify",
            content: #"{"notify_type":"ring","application":"m.call","call_id":"","m.mentions":{"room":true}}"#),
        text(
            type: "m.room.power_levels", content: #"{"users":{"@alice:example.com":100},"events":{"m.x":1},"kick":50}"#,
            stateKey: ""),
        text(
            type: "m.room.create", content: #"{"room_version":"12","additional_creators":["@bob:example.com"]}"#,
            stateKey: ""),
        text(type: "m.room.tombstone", content: #"{"body":"moved","replacement_room":"!next"}"#, stateKey: ""),
        text(type: "m.room.join_rules", content: #"{"join_rule":"public"}"#, stateKey: ""),
        text(type: "m.room.encryption", content: #"{"algorithm":"m.megolm.v1.aes-sha2"}"#, stateKey: ""),
        legacy("invite", #""offer":{"type":"offer","sdp":"v=0"},"lifetime":60000,\#(metadata)"#),
        legacy("candidates", #""candidates":[{"candidate":"c","sdpMid":"0","sdpMLineIndex":0},{"candidate":""}]"#),
        legacy("answer", #""answer":{"type":"answer","sdp":"v=0"}"#),
        legacy("select_answer", #""selected_party_id":"Q""#),
        legacy("reject", ""),
        legacy("negotiate", #""description":{"type":"offer","sdp":"v=0"},"lifetime":60000"#),
        legacy("hangup", #""reason":"user_busy""#),
        legacy("sdp_stream_metadata_changed", metadata),
        legacy("asserted_identity", #""asserted_identity":{"id":"@carol:example.com","display_name":"Carol"}"#),
    ]
}
