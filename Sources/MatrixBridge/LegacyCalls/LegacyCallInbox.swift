// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents
import NIOConcurrencyHelpers

/// What waits for the keeper of calls, in the order it came: bounded in events and bytes. What ends calls has room of
/// its own, so that nobody's offers push it out.
package final class LegacyCallInbox: Sendable {
    package enum Item: Equatable, Sendable {
        /// The events of one transaction.
        case events([LegacyCallEvent])
        case left(UserID, RoomID)
        case hangUp(RoomID)
        case ring(UserID, RoomID)
        case reported(LegacyCallMessage, LegacyCallEnd, LegacyCallOutcome)
        case tick
    }

    fileprivate struct State {
        var items: [Item] = []
        var eventCount = 0
        var byteCount = 0
        var endCount = 0
        var hasTick = false
    }

    package static let maximumEvents = 1_000
    package static let maximumBytes = 8 << 20
    /// Hang-ups of peers and leaves.
    package static let maximumEnds = 4_000

    private let state = NIOLockedValueBox(State())
    package let wakeUps = WakeUps()

    package init() {}

    /// - Returns: how many events found no room.
    package func put(_ item: Item) -> Int {
        let dropped = state.withLockedValue { $0.put(item) }
        wakeUps.wake()
        return dropped
    }

    /// Everything that waits.
    package func takeAll() -> [Item] {
        state.withLockedValue { state in
            defer { state = State() }
            return state.items
        }
    }
}

extension LegacyCallInbox.State {
    fileprivate mutating func put(_ item: LegacyCallInbox.Item) -> Int {
        switch item {
        case .events(let events):
            let kept = events.filter { hasRoom(for: $0) }
            if !kept.isEmpty { items.append(.events(kept)) }
            return events.count - kept.count
        case .left:
            guard endCount < LegacyCallInbox.maximumEnds else { return 1 }
            endCount += 1
        case .tick:
            guard !hasTick else { return 0 }
            hasTick = true
        case .hangUp, .ring, .reported: break
        }
        items.append(item)
        return 0
    }

    private mutating func hasRoom(for event: LegacyCallEvent) -> Bool {
        if case .hangup = event, endCount < LegacyCallInbox.maximumEnds {
            endCount += 1
            return true
        }
        let size = event.byteCount
        guard eventCount < LegacyCallInbox.maximumEvents, byteCount + size <= LegacyCallInbox.maximumBytes else {
            return false
        }
        eventCount += 1
        byteCount += size
        return true
    }
}

extension LegacyCallEvent {
    /// About what it takes to keep it.
    fileprivate var byteCount: Int {
        let texts =
            switch self {
            case .invite(let event): event.offer.sdp.utf8.count
            case .answer(let event): event.answer.sdp.utf8.count
            case .negotiate(let event): event.description.sdp.utf8.count
            case .candidates(let event): event.candidates.reduce(0) { $0 + $1.line.utf8.count + 64 }
            case .selectAnswer, .reject, .hangup, .streamMetadataChanged, .assertedIdentity: 0
            }
        return texts + 1_024
    }
}
