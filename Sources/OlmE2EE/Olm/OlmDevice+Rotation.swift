// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// What must reach whom before the next event of a room is encrypted.
package struct RoomKeyDistribution: Sendable {
    package var room: RoomID
    package var sessionID: String
    /// Devices that lack the key, and may have it.
    package var recipients: [DeviceKeys]
    /// Devices that nobody has cross-signed: they are told that they get none.
    package var refused: [DeviceKeys]
    /// Whether the key is with some device already.
    package var hasHolders: Bool
    /// The content of `m.room_key`.
    package var content: JSONObject

    /// The content of `m.room_key.withheld`, which is sent in the clear.
    package func withheld(senderKey: String) -> JSONObject {
        [
            "algorithm": .string(OlmDevice.Algorithm.megolm), "room_id": .string(room.rawValue),
            "session_id": .string(sessionID), "sender_key": .string(senderKey), "code": .string("m.unverified"),
            "reason": .string("The device is not cross-signed by its owner."),
        ]
    }
}

/// Events of encrypted rooms, written.
extension OlmDevice {
    /// After this time, or this many events, a room gets a new session, as the specification's defaults say.
    static let rotationMilliseconds: Milliseconds = 7 * 24 * 3_600_000
    static let rotationMessages: UInt32 = 100

    /// Whether a room was ever seen encrypted: then it stays encrypted for us, whatever its state says later.
    package static func isEncrypted(_ room: RoomID, in store: any OlmStore) throws -> Bool {
        try store.record(.encryptedRoom, owner: "", key: room.rawValue) != nil
    }

    /// An encrypted event was seen in the room, or is about to be sent there.
    package static func sawEncryption(
        in room: RoomID, store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        try store.put(OlmRecord(.encryptedRoom, key: room.rawValue, touched: now))
    }

    /// The session for the next event of a room; a new one when there is none, it is used up, or somebody who has its
    /// key shall not read on.
    ///
    /// - Parameter devices: All that may read the room now.
    package func distribution(
        of room: RoomID, to devices: [DeviceKeys], in store: any OlmStore, at now: UnixMilliseconds,
    ) throws -> RoomKeyDistribution {
        let trusted = devices.filter(\.isCrossSigned)
        let allowed = Set(trusted.map(\.address.storeKey))
        var shared: Set<String> = []
        var session: MegolmOutbound?
        var hasHolders = false
        var sessionID = ""
        if let known = try outbound(of: room, in: store) {
            sessionID = try known.session.id()
            let shares = try store.records(.share, owner: sessionID)
            shared = Set(shares.filter { $0.value != Self.intended }.map(\.key))
            let holders = Set(shares.filter { !$0.value.isEmpty && !$0.key.isEmpty }.map(\.key))
            let isComplete = shared.contains("")
            let isFresh = now >= known.made && now - known.made < Self.rotationMilliseconds
            if isFresh, isComplete, known.session.messageCount < Self.rotationMessages, holders.isSubset(of: allowed) {
                session = known.session
                hasHolders = shares.contains { $0.value == Self.sent }
            } else {
                try store.removeAll(.share, owner: sessionID)
                shared = []
            }
        }
        let current = try session ?? MegolmOutbound()
        if session == nil {
            sessionID = try current.id()
            try Self.sawEncryption(in: room, store: store, at: now)
            try store.put(OlmRecord(.share, owner: sessionID, touched: now))
            try store.put(
                OlmRecord(.outbound, owner: room.rawValue, value: try current.pickle(key: key), touched: now))
        }
        return RoomKeyDistribution(
            room: room, sessionID: sessionID, recipients: trusted.filter { !shared.contains($0.address.storeKey) },
            refused: devices.filter { !$0.isCrossSigned && !shared.contains($0.address.storeKey) },
            hasHolders: hasHolders,
            content: [
                "algorithm": .string(Algorithm.megolm), "room_id": .string(room.rawValue),
                "session_id": .string(sessionID), "session_key": .string(try current.sessionKey()),
            ])
    }

    /// The key is about to go out: whoever it is sent to counts as one who has it from now on, whatever becomes of the
    /// sending, so that a session which is given to somebody who leaves meanwhile is not used any more.
    package func willBeSent(
        _ distribution: RoomKeyDistribution, in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        for device in distribution.recipients {
            try store.put(
                OlmRecord(
                    .share, owner: distribution.sessionID, key: device.address.storeKey, value: Self.intended,
                    touched: now))
        }
    }

    private static let intended: [UInt8] = [0]
    private static let sent: [UInt8] = [1]

    /// The key went out to some devices, and others were told that they get none.
    package func wereSent(
        _ distribution: RoomKeyDistribution, to recipients: [DeviceAddress], told refused: [DeviceAddress],
        in store: any OlmStore, at now: UnixMilliseconds,
    ) throws {
        for device in recipients {
            try store.put(
                OlmRecord(.share, owner: distribution.sessionID, key: device.storeKey, value: Self.sent, touched: now))
        }
        for device in refused {
            try store.put(OlmRecord(.share, owner: distribution.sessionID, key: device.storeKey, touched: now))
        }
    }

    /// The content of an `m.room.encrypted` event, with the session of ``distribution(of:to:in:at:)``; nil without one.
    package func encrypt(
        _ type: String, _ content: JSONObject, in room: RoomID, store: any OlmStore,
    ) throws -> JSONObject? {
        guard let known = try outbound(of: room, in: store) else { return nil }
        var plain = JSONValue.object([
            "type": .string(type), "content": .object(content), "room_id": .string(room.rawValue),
        ]).compactJSON
        defer { OlmBuffer.wipe(&plain) }
        let ciphertext = try known.session.encrypt(plain)
        try store.put(
            OlmRecord(
                .outbound, owner: room.rawValue, value: try known.session.pickle(key: key), touched: known.made))
        var outer: JSONObject = [
            "algorithm": .string(Algorithm.megolm), "sender_key": .string(curve25519),
            "device_id": .string(address.device.rawValue), "session_id": .string(try known.session.id()),
            "ciphertext": .string(ciphertext),
        ]
        outer["m.relates_to"] = content["m.relates_to"]
        return outer
    }

    private func outbound(
        of room: RoomID, in store: any OlmStore,
    ) throws -> (session: MegolmOutbound, made: UnixMilliseconds)? {
        guard let record = try store.record(.outbound, owner: room.rawValue, key: "") else { return nil }
        // A damaged one makes room for the next.
        return (try? MegolmOutbound(pickle: record.value, key: key)).map { ($0, record.touched) }
    }
}
