// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Users seen leaving rooms with calls, so that an event of theirs that arrives late is refused.
///
/// A second line behind the homeserver's own rules, so the oldest may be forgotten: it holds ``capacity`` of them.
struct DepartedUsers: Sendable {
    private struct Departure: Hashable, Sendable {
        let roomID: RoomID
        let user: UserID
    }

    static let capacity = 10_000

    private var departures: Set<Departure> = []
    /// A ring in the order of arrival; `next` is overwritten when it is full.
    private var order: [Departure] = []
    private var next = 0

    func contains(_ user: UserID, in roomID: RoomID) -> Bool {
        departures.contains(Departure(roomID: roomID, user: user))
    }

    mutating func insert(_ user: UserID, in roomID: RoomID) {
        let departure = Departure(roomID: roomID, user: user)
        guard departures.insert(departure).inserted else { return }
        if order.count < Self.capacity {
            order.append(departure)
        } else {
            departures.remove(order[next])
            departures.insert(departure)
            order[next] = departure
            next = (next + 1) % Self.capacity
        }
    }

    mutating func remove(_ user: UserID, in roomID: RoomID) {
        departures.remove(Departure(roomID: roomID, user: user))
    }
}
