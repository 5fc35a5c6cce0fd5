// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The sticky events `org.matrix.msc4143.rtc.member` and `m.rtc.member` (MSC4143 over MSC4354).
///
/// Both types have been seen with either content, so the content decides the generation: a member that names its
/// device is of the draft.
enum StickyMembership {
    static let eventTypes: Set<String> = ["org.matrix.msc4143.rtc.member", "m.rtc.member"]

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RTCMembershipStatement {
        guard event.stateKey == nil else { throw .unexpectedStateKey }
        let content = event.content
        let stickyKey = try stickyKey(of: event)
        guard let duration = event.stickyDuration else { throw .notSticky }
        // The draft leaves by sending nothing but the key.
        if content["member"] == nil, content["slot_id"] == nil { return .left(.unstated) }
        guard let member = content["member"]?.object else { throw .missingMemberID }
        let memberID = try member.requiredText("id", orRefuse: .missingMemberID)
        guard !memberID.isEmpty else { throw .missingMemberID }
        guard memberID.utf8.elementsEqual(stickyKey.utf8) else { throw .stickyKeyMismatch }
        for claim in ["user_id", "claimed_user_id"] {
            guard let user = member[claim] else { continue }
            guard user.string.flatMap(UserID.init) == event.sender else { throw .memberOfOtherUser }
        }
        switch member["membership"] {
        case nil, .string("join"): break
        case .string("leave"): return .left(leaveReason(content))
        default: throw .unknownMembership
        }
        return .joined(try joined(event, member: member, memberID: memberID, duration: duration))
    }

    /// The key under which this event replaces earlier ones of its sender and type.
    static func stickyKey(of event: RoomEvent) throws(EventRefusal) -> String {
        let stable = event.content["sticky_key"]
        let unstable = event.content["msc4354_sticky_key"]
        if let stable, let unstable, stable != unstable { throw .stickyKeyMismatch }
        guard let key = (stable ?? unstable)?.string, !key.isEmpty else { throw .missingStickyKey }
        guard key.utf8.count <= MatrixText.maximumByteCount else { throw .oversizeField }
        return key
    }

    private static func joined(
        _ event: RoomEvent,
        member: JSONObject,
        memberID: String,
        duration: Milliseconds,
    ) throws(EventRefusal) -> RTCMembership {
        let content = event.content
        let application = content["application"]?.object ?? [:]
        let applicationType = try application.requiredText("type", orRefuse: .missingApplication)
        guard let slotID = SlotID(try content.requiredText("slot_id", orRefuse: .missingSlotID)) else {
            throw .malformedSlotID
        }
        guard slotID.application == applicationType else { throw .slotApplicationMismatch }
        guard applicationType == SlotID.callApplication else { throw .otherApplication }
        let claimedDevice = member["device_id"] ?? member["claimed_device_id"]
        let deviceID: DeviceID?
        if let claimedDevice {
            guard let device = claimedDevice.string.flatMap(DeviceID.init) else { throw .missingDeviceID }
            deviceID = device
        } else {
            deviceID = event.encryptingDevice
        }
        let transports = content["transports"]?["published"] ?? content["rtc_transports"]
        return RTCMembership(
            generation: claimedDevice == nil ? .sticky : .stickyDraft,
            roomID: event.roomID,
            eventID: event.eventID,
            sender: event.sender,
            deviceID: deviceID,
            memberID: memberID,
            slotID: slotID,
            intent: CallIntent(application["m.call.intent"]),
            createdAt: event.originServerTimestamp,
            expiry: .sticky(sentAt: event.originServerTimestamp, duration: duration),
            focusSelection: .multipleFoci,
            transports: RTCTransport.list(transports),
        )
    }

    private static func leaveReason(_ content: JSONObject) -> LeaveReason {
        content["leave_reason"]?["code"]?.string.flatMap(LeaveReason.init) ?? .unstated
    }
}
