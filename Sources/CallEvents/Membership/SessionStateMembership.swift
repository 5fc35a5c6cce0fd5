// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The state event `org.matrix.msc3401.call.member`, one for each device.
///
/// Clients have used several forms of state key; only the content says whose device it is, and only together with the
/// sender, because any user with the power level may write any key.
package enum SessionStateMembership {
    package static let eventType = "org.matrix.msc3401.call.member"

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RTCMembershipStatement {
        guard let stateKey = event.stateKey else { throw .missingStateKey }
        let content = event.content
        if content.isEmpty || event.isRedacted { return .left(.unstated) }
        if let list = content["memberships"]?.array {
            guard list.isEmpty else { throw .membershipList }
            return .left(.unstated)
        }
        guard mayName(event.sender, stateKey: stateKey) else { throw .stateKeyOfOtherUser }
        guard try content.requiredText("application", orRefuse: .missingApplication) == SlotID.callApplication else {
            throw .otherApplication
        }
        guard try content.requiredText("call_id", orRefuse: .missingCallID).isEmpty else { throw .callNotOfRoom }
        let device = try content.requiredText("device_id", orRefuse: .missingDeviceID)
        guard let deviceID = DeviceID(device) else { throw .missingDeviceID }
        guard let focus = content["focus_active"]?.object, focus["type"]?.string != nil else { throw .missingFocus }
        let createdAt = try time("created_ts", in: content) ?? event.originServerTimestamp
        let lifetime = try time("expires", in: content) ?? MembershipExpiry.defaultSessionLifetime
        return .joined(
            RTCMembership(
                generation: .sessionState,
                roomID: event.roomID,
                eventID: event.eventID,
                sender: event.sender,
                deviceID: deviceID,
                memberID: LiveKitNames.plainIdentity(user: event.sender, device: deviceID),
                slotID: .compatibilityRoomCall,
                intent: CallIntent(content["m.call.intent"]),
                createdAt: createdAt,
                expiry: .session(createdAt: createdAt, lifetime: lifetime),
                focusSelection: focus["focus_selection"]?.string.flatMap(FocusSelection.init) ?? .unknown,
                transports: RTCTransport.list(content["foci_preferred"]),
            ))
    }

    /// Whether a state key names the sender, or nobody.
    ///
    /// A server name has no underscore, so the user id ends at the first one behind the colon.
    private static func mayName(_ sender: UserID, stateKey: String) -> Bool {
        var named = stateKey.utf8[...]
        if named.starts(with: "_@".utf8) { named = named.dropFirst() }
        guard named.first == UInt8(ascii: "@") else { return true }
        guard named.starts(with: sender.rawValue.utf8) else { return false }
        let rest = named.dropFirst(sender.rawValue.utf8.count)
        return rest.isEmpty || rest.first == UInt8(ascii: "_")
    }

    /// A time that may be missing but not malformed.
    private static func time(_ key: String, in content: JSONObject) throws(EventRefusal) -> Int64? {
        switch content[key] {
        case nil, .null: return nil
        case let value:
            guard let time = EventTime.milliseconds(value) else { throw .invalidExpiry }
            return time
        }
    }
}
