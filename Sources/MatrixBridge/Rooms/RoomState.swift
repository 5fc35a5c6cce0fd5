// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// The current state of a room, as far as it matters to calls: what a roster must take, in an order that gives the
/// right result whatever order the homeserver listed it in.
///
/// State has no order of its own, and the membership of a call stays in it when its user leaves the room. So the users
/// who left come first, then the slots, then the memberships of those who are joined.
package struct RoomState: Sendable {
    package let events: [RoomEvent]
    /// Who is in the room, and who may do what.
    package let facts: RoomFacts
    /// Events of the room that could not be read, by reason.
    package let refusals: [EventRefusal]

    /// - Parameter values: The answer of `GET /rooms/{roomId}/state`. Events of other rooms do not count.
    package init(_ values: [JSONValue], of room: RoomID) {
        var refusals: [EventRefusal] = []
        var members: [RoomEvent] = []
        var slots: [RoomEvent] = []
        var memberships: [RoomEvent] = []
        var joined: Set<UserID> = []
        var facts = RoomFacts()
        for value in values {
            let event: RoomEvent
            switch RoomEvent.decode(value) {
            case .failure(let refusal):
                refusals.append(refusal)
                continue
            case .success(let decoded): event = decoded
            }
            guard event.roomID == room, event.stateKey != nil else { continue }
            let decoded = CallEvent.decode(event)
            facts.take(decoded)
            switch decoded {
            case .roomMember(let member):
                members.append(event)
                if member.membership == .join { joined.insert(member.user) }
            case .slot: slots.append(event)
            case .membership: memberships.append(event)
            case .refused(let refusal): refusals.append(refusal)
            case .notification, .decline, .legacy, .creation, .powerLevels, .tombstone, .encryption, .joinRule,
                .message, .redaction, .other:
                continue
            }
        }
        events = members + slots + memberships.filter { joined.contains($0.sender) }
        self.refusals = refusals
        self.facts = facts
    }
}
