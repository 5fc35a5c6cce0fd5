// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A device that takes part in a MatrixRTC call, whichever generation of events said so.
///
/// Three generations are in use at once (MSC3401 as deployed, MSC4143 as drafted, MSC4143 as settled). They differ in
/// where things stand and in how LiveKit names are derived, so the generation stays with the value.
package struct RTCMembership: Equatable, Sendable, Codable {
    /// Which shape of event the membership came in.
    package enum Generation: String, CaseIterable, Sendable, Codable {
        /// The state event `org.matrix.msc3401.call.member`, understood by every client.
        case sessionState
        /// A sticky event whose `member` names user and device.
        case stickyDraft
        /// A sticky event whose `member` has only an id; it counts only while its slot is open.
        case sticky
    }

    package let generation: Generation
    package let roomID: RoomID
    /// The event this was read from.
    package let eventID: EventID
    package let sender: UserID
    /// The sender's device. In ``Generation/sticky`` it is the one that encrypted the event, nil in the clear.
    package let deviceID: DeviceID?
    /// Who the member is to its peers: `user:device` in ``Generation/sessionState``, else the random `member.id`.
    package let memberID: String
    package let slotID: SlotID
    /// Nil when the member does not say.
    package let intent: CallIntent?
    /// When the member joined, by its own account or by the event's time.
    package let createdAt: UnixMilliseconds
    package let expiry: MembershipExpiry
    package let focusSelection: FocusSelection
    /// Where the member publishes, most preferred first; at most ``RTCTransport/maximumCount``.
    package let transports: [RTCTransport]

    /// The LiveKit identity of the member.
    package var liveKitIdentity: LiveKitNames.Identity {
        switch generation {
        case .sessionState: .plain(memberID)
        case .stickyDraft:
            .hashed(
                input: LiveKitNames.identityInput(user: sender, device: deviceID?.rawValue ?? "", memberID: memberID))
        case .sticky: .hashed(input: LiveKitNames.identityInput(sender: sender, memberID: memberID))
        }
    }
}

/// What a membership event says: the device takes part, or it no longer does.
package enum RTCMembershipStatement: Equatable, Sendable {
    case joined(RTCMembership)
    case left(LeaveReason)
}

/// Why a member says it left (MSC4143, `leave_reason.code`).
package enum LeaveReason: String, CaseIterable, Sendable {
    case leave
    /// The homeserver sent the leave because the client fell silent (MSC4140).
    case delayedLeave = "delayed_leave"
    case slotClosed = "slot_closed"
    /// No reason, or one without a name here.
    case unstated
}

/// Audio or video, a hint for the ringing side. `voice` of the proposals is ``audio``; an unknown word is ``video``.
package enum CallIntent: String, CaseIterable, Sendable, Codable {
    case audio
    case video

    /// Nil when `value` is no string.
    init?(_ value: JSONValue?) {
        guard let word = value?.string else { return nil }
        self = word == "audio" || word == "voice" ? .audio : .video
    }
}
