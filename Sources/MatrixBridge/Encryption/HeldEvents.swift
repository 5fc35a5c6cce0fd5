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

    struct Held {
        var event: RoomEvent
        var sessionID: String
        var since: UnixMilliseconds
    }

    private(set) var all: [Held] = []

    /// - Returns: false when too many wait.
    mutating func hold(_ event: RoomEvent, sessionID: String, at now: UnixMilliseconds) -> Bool {
        guard all.count < Self.maximumCount,
            all.count(where: { $0.event.roomID == event.roomID }) < Self.maximumCountOfRoom
        else { return false }
        guard !all.contains(where: { $0.event.eventID == event.eventID }) else { return true }
        all.append(Held(event: event, sessionID: sessionID, since: now))
        return true
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
