// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

extension CallKeyContent {
    /// The content in the deployed shape, which goes under ``deployedEventType``. Clients of today write the key with
    /// padding.
    ///
    /// - Parameters:
    ///   - memberID: ``RTCMembership/memberID`` of ours.
    ///   - device: ours.
    package static func deployedContent(
        roomID: RoomID, memberID: String, device: DeviceID, key: MediaKey, sentAt: UnixMilliseconds,
    ) -> JSONObject {
        let text = UnpaddedBase64.encode(key.bytes)
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return [
            "keys": .object(["index": .integer(Int64(key.index)), "key": .string(text + padding)]),
            "room_id": .string(roomID.rawValue),
            "member": .object(["id": .string(memberID), "claimed_device_id": .string(device.rawValue)]),
            "session": .object([
                "application": .string(SlotID.callApplication), "call_id": .string(""), "scope": .string("m.room"),
            ]),
            "sent_ts": .integer(sentAt),
        ]
    }
}
