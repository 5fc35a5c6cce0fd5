// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What became of the rings of calls: answered, declined, missed or taken back.
///
/// A pure machine beside ``CallRoster``: notifications, declines and what happens to members go in. It remembers the
/// last few rings of a room; the oldest room is forgotten first.
package struct RingBoard: Sendable {
    package enum Outcome: String, CaseIterable, Sendable {
        case ringing
        /// Somebody other than the caller joined.
        case answered
        /// Everybody who was called said no (MSC4310).
        case declined
        /// Nobody came before it stopped ringing.
        case missed
        /// The caller left before anybody came.
        case cancelled
    }

    package struct Ring: Equatable, Sendable {
        package let notification: RTCNotification
        /// Who said no, the caller not among them.
        package fileprivate(set) var declinedBy: Set<UserID> = []
        package fileprivate(set) var outcome = Outcome.ringing
    }

    /// Rooms remembered.
    package static let maximumRooms = 1_000
    /// Rings of a room.
    package static let maximumRings = 8
    /// More refusals of one ring are not kept.
    package static let maximumDeclines = 1_000

    private var rooms: [RoomID: [Ring]] = [:]
    /// Rooms in the order of their first ring.
    private var order: [RoomID] = []

    package init() {}

    /// The last rings of a room, oldest first.
    package func rings(in room: RoomID) -> [Ring] { rooms[room] ?? [] }

    /// How many rooms are remembered.
    package var roomCount: Int { rooms.count }

    package mutating func take(_ notification: RTCNotification, at now: UnixMilliseconds) {
        guard notification.expiresAt > now,
            rooms[notification.roomID]?.contains(where: { $0.notification.eventID == notification.eventID }) != true
        else { return }
        if rooms[notification.roomID] == nil {
            if order.count >= Self.maximumRooms { rooms[order.removeFirst()] = nil }
            order.append(notification.roomID)
        }
        let rings = (rooms[notification.roomID] ?? []) + [Ring(notification: notification)]
        rooms[notification.roomID] = rings.suffix(Self.maximumRings)
    }

    package mutating func take(_ decline: RTCDecline) {
        change(in: decline.roomID) { ring in
            guard ring.notification.eventID == decline.notificationEventID,
                ring.notification.sender != decline.sender, ring.declinedBy.count < Self.maximumDeclines
            else { return }
            ring.declinedBy.insert(decline.sender)
            let called = Set(ring.notification.mentionedUsers).subtracting([ring.notification.sender])
            guard !ring.notification.mentionsRoom, !called.isEmpty, called.isSubset(of: ring.declinedBy) else { return }
            ring.outcome = .declined
        }
    }

    package mutating func joined(_ user: UserID, in room: RoomID) {
        change(in: room) { ring in
            if ring.notification.sender != user { ring.outcome = .answered }
        }
    }

    package mutating func left(_ user: UserID, in room: RoomID) {
        change(in: room) { ring in
            if ring.notification.sender == user { ring.outcome = .cancelled }
        }
    }

    /// Ends what has rung long enough.
    ///
    /// - Complexity: linear in the rooms.
    package mutating func expire(at now: UnixMilliseconds) {
        for room in order {
            change(in: room) { ring in
                if ring.notification.expiresAt <= now { ring.outcome = .missed }
            }
        }
    }

    /// Only what still rings changes.
    private mutating func change(in room: RoomID, _ body: (inout Ring) -> Void) {
        for index in (rooms[room] ?? []).indices where rooms[room]?[index].outcome == .ringing {
            guard var ring = rooms[room]?[index] else { continue }
            body(&ring)
            rooms[room]?[index] = ring
        }
    }
}
