// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What became of an encrypted room event.
package enum EncryptedEventOutcome: Equatable, Sendable {
    case opened(RoomEvent)
    /// The room key is not here yet.
    case missingKey(sessionID: String)
    case refused(OlmRefusal)
}

/// Events of encrypted rooms, read.
extension OlmDevice {
    /// Keeps the key of `m.room_key`.
    func takeRoomKey(
        _ message: ToDeviceMessage, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> ToDeviceOutcome {
        let content = message.content
        guard content["algorithm"]?.string == Algorithm.megolm,
            let room = content["room_id"]?.string.flatMap(RoomID.init),
            let sessionID = content["session_id"]?.string, DeviceKeys.isKey(sessionID),
            let sessionKey = content["session_key"]?.string, sessionKey.utf8.count <= 1_024,
            let session = try? MegolmInbound(sessionKey: sessionKey)
        else { throw OlmRefusal.malformedRoomKey }
        guard try session.id() == sessionID else { throw OlmRefusal.roomKeyMismatch }
        let user = message.sender.user
        let known = try roomKey(sessionID, of: user, in: room, store: store)
        if let known {
            guard known.sender == message.sender else { throw OlmRefusal.roomKeyOfOtherDevice }
            guard session.firstKnownIndex < known.session.firstKnownIndex else {
                return .roomKey(room, sessionID: sessionID)
            }
        }
        let record = RoomKeyRecord(sender: message.sender, pickle: try session.pickle(key: key))
        let kind = known?.kind ?? .unprovenInbound
        try store.put(
            OlmRecord(
                kind, owner: user.rawValue, key: RoomKeyRecord.key(room, sessionID), json: record.json, touched: now))
        try store.trim(.unprovenInbound, owner: user.rawValue, to: Limit.unprovenInboundOfUser)
        return .roomKey(room, sessionID: sessionID)
    }

    /// A stored session of a device, opened.
    private struct RoomKey {
        var sender: DeviceAddress
        var session: MegolmInbound
        var kind: OlmRecord.Kind
    }

    /// The session that a user gave us: with another's name on it, it is another session. One that is damaged is
    /// removed, so that its owner can give it again.
    private func roomKey(
        _ sessionID: String, of user: UserID, in room: RoomID, store: any OlmStore,
    ) throws -> RoomKey? {
        let name = RoomKeyRecord.key(room, sessionID)
        for kind in [OlmRecord.Kind.inbound, .unprovenInbound] {
            guard let record = try store.record(kind, owner: user.rawValue, key: name) else { continue }
            if let known = record.json.flatMap(RoomKeyRecord.init), known.sender.user == user,
                let session = try? MegolmInbound(pickle: known.pickle, key: key)
            {
                return RoomKey(sender: known.sender, session: session, kind: kind)
            }
            try store.remove(kind, owner: user.rawValue, key: name)
        }
        return nil
    }

    /// Stores that a session was of use: its user writes in the room with it, so that no key of rooms that nobody saw
    /// pushes it out.
    private func wasUsed(
        _ key: RoomKey, id: String, in room: RoomID, store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        let (owner, name) = (key.sender.user.rawValue, RoomKeyRecord.key(room, id))
        guard var record = try store.record(key.kind, owner: owner, key: name) else { return }
        try store.remove(key.kind, owner: owner, key: name)
        record.kind = .inbound
        record.touched = now
        try store.put(record)
        try store.trim(.inbound, owner: owner, to: Limit.inboundOfUser)
    }

    /// Decrypts an `m.room.encrypted` event.
    package func open(
        _ event: RoomEvent, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> EncryptedEventOutcome {
        do {
            guard event.content["algorithm"]?.string == Algorithm.megolm else { throw OlmRefusal.unknownAlgorithm }
            guard let sessionID = event.content["session_id"]?.string, DeviceKeys.isKey(sessionID),
                let ciphertext = event.content["ciphertext"]?.string, !ciphertext.isEmpty,
                ciphertext.utf8.count <= Limit.ciphertext, UnpaddedBase64.decode(ciphertext) != nil
            else { throw OlmRefusal.malformed }
            guard DeviceAddress.isName(event.sender.rawValue) else { throw OlmRefusal.identifierNotASCII }
            guard let known = try roomKey(sessionID, of: event.sender, in: event.roomID, store: store) else {
                return .missingKey(sessionID: sessionID)
            }
            let plain: [UInt8]
            let index: UInt32
            do throws(OlmFault) {
                (plain, index) = try known.session.decrypt(ciphertext)
            } catch {
                throw OlmRefusal.eventUndecryptable
            }
            guard let inner = try? JSONValue.parse(plain), let type = inner["type"]?.string, !type.isEmpty,
                type.utf8.count <= MatrixText.maximumByteCount, var content = inner["content"]?.object
            else { throw OlmRefusal.malformedPlaintext }
            guard inner["room_id"]?.string.flatMap(RoomID.init) == event.roomID else { throw OlmRefusal.wrongRoom }
            guard type != "m.room.encrypted" else { throw OlmRefusal.nestedEncryption }
            let owner = "\(event.sender.rawValue)\n\(sessionID)"
            let used = try store.record(.index, owner: owner, key: "\(index)")
            guard used.map({ $0.value == Array(event.eventID.rawValue.utf8) }) ?? true else { throw OlmRefusal.replay }
            try store.put(
                OlmRecord(
                    .index, owner: owner, key: "\(index)", value: Array(event.eventID.rawValue.utf8), touched: now))
            try wasUsed(known, id: sessionID, in: event.roomID, store: store, at: now)
            // Relations stand outside, where servers can read them.
            if content["m.relates_to"] == nil { content["m.relates_to"] = event.content["m.relates_to"] }
            return .opened(event.decrypted(type: type, content: content, by: known.sender.device))
        } catch let refusal as OlmRefusal {
            return .refused(refusal)
        }
    }
}

/// A stored Megolm session of another device.
struct RoomKeyRecord {
    var sender: DeviceAddress
    var pickle: [UInt8]

    init(sender: DeviceAddress, pickle: [UInt8]) {
        self.sender = sender
        self.pickle = pickle
    }

    init?(_ json: JSONObject) {
        guard let user = json["user"]?.string.flatMap(UserID.init),
            let device = json["device"]?.string.flatMap(DeviceID.init), let pickle = json["pickle"]?.string
        else { return nil }
        self.init(sender: DeviceAddress(user: user, device: device), pickle: Array(pickle.utf8))
    }

    /// Unique, because no room id holds a line break.
    static func key(_ room: RoomID, _ sessionID: String) -> String { "\(room.rawValue)\n\(sessionID)" }

    var json: JSONObject {
        [
            "user": .string(sender.user.rawValue), "device": .string(sender.device.rawValue),
            "pickle": .string(OlmBuffer.text(pickle)),
        ]
    }
}
