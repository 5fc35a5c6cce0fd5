// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The media key of one member, from the plaintext of an Olm-encrypted to-device message (MSC4143).
///
/// Two shapes are read, whatever the event type: the deployed one (`keys`, `member`, `session`) and the settled one
/// (`media_key`, `member_id`). Who sent it is known only to whoever decrypted it; everything here is a claim of that
/// sender, to be compared with its membership.
package struct CallKeyContent: Equatable, Sendable {
    package enum Shape: String, CaseIterable, Sendable {
        case deployed
        case settled
    }

    package static let deployedEventType = "io.element.call.encryption_keys"
    package static let settledEventTypes: Set<String> = [
        "m.rtc.encryption_key", "org.matrix.msc4143.rtc.encryption_key",
    ]

    package let shape: Shape
    package let roomID: RoomID
    /// ``RTCMembership/memberID`` of the key's owner.
    package let memberID: String
    /// Present in the deployed shape; must be the device that encrypted the message.
    package let claimedDeviceID: DeviceID?
    package let key: MediaKey
    /// By the sender's clock; informational, because receivers order keys by arrival.
    package let sentAt: UnixMilliseconds?

    /// Reads the decrypted content of a to-device event of `type`.
    package static func decode(type: String, content: JSONValue) -> Result<CallKeyContent, EventRefusal> {
        guard type == deployedEventType || settledEventTypes.contains(type) else { return .failure(.notAKeyEvent) }
        guard let content = content.object else { return .failure(.invalidContent) }
        do throws(EventRefusal) {
            return .success(
                content["media_key"] == nil
                    ? try CallKeyContent(deployed: content) : try CallKeyContent(settled: content))
        } catch {
            return .failure(error)
        }
    }

    private init(deployed content: JSONObject) throws(EventRefusal) {
        guard let roomID = content["room_id"]?.string.flatMap(RoomID.init) else { throw .invalidRoomID }
        guard let member = content["member"]?.object else { throw .missingMemberID }
        let memberID = try member.requiredText("id", orRefuse: .missingMemberID, upTo: Self.maximumMemberIDByteCount)
        guard let device = member["claimed_device_id"]?.string.flatMap(DeviceID.init) else { throw .missingDeviceID }
        if let session = content["session"] {
            guard session["application"]?.string == SlotID.callApplication else { throw .otherApplication }
            guard session["call_id"]?.string?.isEmpty == true else { throw .callNotOfRoom }
        }
        self.shape = .deployed
        self.roomID = roomID
        self.memberID = memberID
        self.claimedDeviceID = device
        self.key = try MediaKey(content["keys"])
        self.sentAt = EventTime.milliseconds(content["sent_ts"])
    }

    private init(settled content: JSONObject) throws(EventRefusal) {
        guard let roomID = content["room_id"]?.string.flatMap(RoomID.init) else { throw .invalidRoomID }
        self.shape = .settled
        self.roomID = roomID
        self.memberID = try content.requiredText("member_id", orRefuse: .missingMemberID)
        self.claimedDeviceID = nil
        self.key = try MediaKey(content["media_key"])
        self.sentAt = EventTime.milliseconds(content["sent_ts"])
    }

    /// A user id, a colon and a device id.
    private static let maximumMemberIDByteCount = 2 * MatrixText.maximumByteCount + 1
}
