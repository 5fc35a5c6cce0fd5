// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

@testable import CallEvents

/// A table of calls with the bot, and the events of those who call it.
struct Line {
    static let now = EventSamples.now
    static let bot = "@callbot:example.com"
    static let alice = "@alice:example.com"
    static let answer = LegacyCallMessage.Description(sdp: "our answer", streamID: "our stream")
    static let privateRoom = LegacyCallPlace(isPublic: false, joinedCount: 2)

    var table: LegacyCallTable
    var place: LegacyCallPlace? = privateRoom
    var admission: LegacyCallRefusal?

    init(maximumCalls: Int = 10) throws {
        var limits = LegacyCallLimits()
        limits.maximumCalls = maximumCalls
        table = LegacyCallTable(me: try EventSamples.user(Self.bot), limits: limits)
    }

    static func key(_ call: String = "c1") throws -> LegacyCallKey {
        LegacyCallKey(roomID: try EventSamples.room(), callID: call)
    }

    static func end(
        _ call: String = "c1", version: LegacyCallHeader.Version = .one, party: String = "OURS"
    ) throws -> LegacyCallEnd {
        LegacyCallEnd(key: try key(call), partyID: party, version: version)
    }

    static func event(
        _ name: String, _ fields: String = "", call: String = "c1", party: String? = "P", from sender: String = alice,
        age: Milliseconds = 0, isVersionZero: Bool = false, receivedAt: UnixMilliseconds? = nil,
        encryptedBy device: DeviceID? = nil
    ) throws -> LegacyCallEvent {
        var head = #""call_id":"\#(call)","version":\#(isVersionZero ? "0" : #""1""#)"#
        if let party, !isVersionZero { head += #","party_id":"\#(party)""# }
        let content = "{" + head + (fields.isEmpty ? "" : ",") + fields + "}"
        let text = EventSamples.text(type: "m.call.\(name)", content: content, sender: sender)
            .replacing(#""age":12"#, with: #""age":\#(age)"#)
        var sample = try EventSamples.event(text)
        sample.receivedAt = receivedAt
        if let device { sample = sample.decrypted(type: sample.type, content: sample.content, by: device) }
        guard case .legacy(let event) = CallEvent.decode(sample) else {
            throw EventRefusal.notAnObject
        }
        return event
    }

    static func invite(
        call: String = "c1", party: String? = "P", from sender: String = alice, age: Milliseconds = 0,
        invitee: String? = nil, isVersionZero: Bool = false, receivedAt: UnixMilliseconds? = nil,
        encryptedBy device: DeviceID? = nil
    ) throws -> LegacyCallEvent {
        let whom = invitee.map { #","invitee":"\#($0)""# } ?? ""
        return try event(
            "invite", #""offer":{"type":"offer","sdp":"their offer"},"lifetime":60000\#(whom)"#, call: call,
            party: party, from: sender, age: age, isVersionZero: isVersionZero, receivedAt: receivedAt,
            encryptedBy: device)
    }

    static func candidates(_ lines: [String], party: String = "P", from sender: String = alice) throws
        -> LegacyCallEvent
    {
        let list = lines.map { #"{"candidate":"\#($0)","sdpMid":"0"}"# }.joined(separator: ",")
        return try event("candidates", #""candidates":[\#(list)]"#, party: party, from: sender)
    }

    static func negotiate(_ kind: String, _ sdp: String, party: String = "P") throws -> LegacyCallEvent {
        try event("negotiate", #""description":{"type":"\#(kind)","sdp":"\#(sdp)"},"lifetime":60000"#, party: party)
    }

    mutating func take(_ events: LegacyCallEvent..., at now: UnixMilliseconds = Self.now) -> [LegacyCallAction] {
        table.receive(events, at: now, place: { _ in place }, partyID: { "OURS" }, admit: { _ in admission })
    }

    mutating func answer(at now: UnixMilliseconds = Self.now) throws -> [LegacyCallAction] {
        table.answered(try Self.key(), with: Self.answer, at: now)
    }

    /// A call that was answered.
    static func answered(isVersionZero: Bool = false) throws -> Line {
        var line = try Line()
        _ = line.take(try invite(isVersionZero: isVersionZero))
        _ = try line.answer()
        return line
    }
}
