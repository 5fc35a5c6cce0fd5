// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents

/// Encrypted events whose room key is not here yet: kept for a minute, within bounds.
struct HeldEvents {
    static let milliseconds: Milliseconds = 60_000
    static let maximumCount = 500
    static let maximumCountOfRoom = 100
    static let maximumCountOfSender = 30

    struct Held {
        var event: RoomEvent
        var sessionID: String
        var since: UnixMilliseconds
    }

    private(set) var all: [Held] = []

    /// Where too many wait, the oldest of the sender goes, of the room, or of the room with the most: nobody takes room
    /// from others.
    ///
    /// - Returns: what had to make room.
    mutating func hold(_ event: RoomEvent, sessionID: String, at now: UnixMilliseconds) -> RoomEvent? {
        guard !all.contains(where: { $0.event.eventID == event.eventID }) else { return nil }
        let ofSender = all.count { $0.event.sender == event.sender }
        let ofRoom = all.count { $0.event.roomID == event.roomID }
        let index: Int?
        if ofSender >= Self.maximumCountOfSender {
            index = all.firstIndex { $0.event.sender == event.sender }
        } else if ofRoom >= Self.maximumCountOfRoom {
            index = all.firstIndex { $0.event.roomID == event.roomID }
        } else if all.count >= Self.maximumCount {
            var counts: [RoomID: Int] = [:]
            for held in all { counts[held.event.roomID, default: 0] += 1 }
            let fullest = counts.max { $0.value < $1.value }?.key
            index = all.firstIndex { $0.event.roomID == fullest }
        } else {
            index = nil
        }
        var displaced: RoomEvent?
        if let index { displaced = all.remove(at: index).event }
        all.append(Held(event: event, sessionID: sessionID, since: now))
        return displaced
    }

    /// Those that a room key makes readable, in their order.
    mutating func release(_ room: RoomID, sessionID: String) -> [RoomEvent] {
        let released = all.filter { $0.event.roomID == room && $0.sessionID == sessionID }
        all.removeAll { $0.event.roomID == room && $0.sessionID == sessionID }
        return released.map(\.event)
    }

    /// Those whose time is over.
    mutating func expire(at now: UnixMilliseconds) -> [RoomEvent] {
        let expired = all.filter { now - $0.since > Self.milliseconds || now < $0.since }
        all.removeAll { now - $0.since > Self.milliseconds || now < $0.since }
        return expired.map(\.event)
    }
}
