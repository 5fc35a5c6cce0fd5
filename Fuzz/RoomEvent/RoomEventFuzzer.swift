// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import FuzzInput

/// Room events, one JSON document a line, applied to one roster and one ring board while time passes; a line that is no
/// event may be the content of a media key.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzRoomEvent(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    var input = FuzzInput(start, count)
    var limits = CallRoster.Limits()
    limits.rooms = 2
    limits.memberships = 4
    limits.membershipsInRoom = 3
    limits.membershipsOfUserInRoom = 2
    limits.slotsInRoom = 2
    var roster = CallRoster(limits: limits)
    var board = RingBoard()
    var authority = RoomAuthority()
    var now: UnixMilliseconds = 1_700_000_000_000
    for line in input.remainder().split(separator: UInt8(ascii: "\n"), maxSplits: 31) {
        guard let json = try? JSONValue.parse(Array(line)) else { continue }
        // A whole number with a fraction is read back as an integer, so the texts are compared and not the values.
        let text = json.compactJSON
        precondition((try? JSONValue.parse(text))?.compactJSON == text, "JSON that is not read back")
        _ = CallKeyContent.decode(type: CallKeyContent.deployedEventType, content: json)
        guard case .success(let event) = RoomEvent.decode(json) else { continue }
        let decoded = CallEvent.decode(event)
        switch decoded {
        case .creation(let creation): authority.creation = creation
        case .powerLevels(let levels): authority.powerLevels = levels
        case .notification(let notification): board.take(notification, at: now)
        case .decline(let decline): board.take(decline)
        case .membership(.joined(let membership)): board.joined(membership.sender, in: event.roomID)
        default: break
        }
        let level = authority.level(of: event.sender)
        precondition(level == .creator || level <= .value(9_007_199_254_740_991), "a level that JSON cannot say")
        _ = authority.mayDo(.sendState(event.type), event.sender)
        _ = roster.apply(decoded, of: event, at: now)
        precondition(board.rings(in: event.roomID).count <= RingBoard.maximumRings, "a board over its limits")
        board.expire(at: now)
        now += 3_600_000
        if let next = roster.nextExpiry, next <= now { _ = roster.expire(at: now) }
        precondition(roster.size.memberships <= 4 && roster.size.rooms <= 2, "a roster over its limits")
        for call in roster.calls {
            _ = (call.startedAt, call.generation, call.intent, call.members.map(call.transport))
        }
    }
    return 0
}
