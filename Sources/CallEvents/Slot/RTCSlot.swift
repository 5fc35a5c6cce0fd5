// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The state event that opens or closes a slot (MSC4143). Only ``RTCMembership/Generation/sticky`` depends on it.
package struct RTCSlot: Equatable, Sendable, Codable {
    static let eventTypes: Set<String> = ["org.matrix.msc4143.rtc.slot", "m.rtc.slot"]

    package let roomID: RoomID
    package let slotID: SlotID
    package let sender: UserID
    package let isOpen: Bool
    /// How members encrypt media, such as `m.per_member`; required in an encrypted room. Nil when media is clear.
    package let encryptionType: String?

    static func decode(_ event: RoomEvent) throws(EventRefusal) -> RTCSlot {
        guard let stateKey = event.stateKey else { throw .missingStateKey }
        guard let slotID = SlotID(stateKey) else { throw .malformedSlotID }
        let content = event.content
        let application = content["application"]?["type"]?.string
        let isOpen: Bool
        switch content["status"] {
        // Earlier drafts closed a slot by emptying it.
        case nil: isOpen = application != nil
        case .string("open"): isOpen = true
        case .string("closed"): isOpen = false
        default: throw .unknownSlotStatus
        }
        if isOpen {
            guard let application else { throw .missingApplication }
            guard application == slotID.application else { throw .slotApplicationMismatch }
        }
        return RTCSlot(
            roomID: event.roomID,
            slotID: slotID,
            sender: event.sender,
            isOpen: isOpen,
            encryptionType: content["encryption"]?.object?.text("type"),
        )
    }
}
