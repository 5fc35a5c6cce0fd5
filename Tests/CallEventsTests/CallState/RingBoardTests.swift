// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

@Suite("Rings: answered, declined, missed, taken back")
struct RingBoardTests {
    static let now = EventSamples.now

    enum Step: Sendable {
        case joins(String)
        case leaves(String)
        case declines(String)
        case passes(Int64)
    }

    func ring(
        _ id: String = "$ring", mentions: String = #"{"user_ids":["@bob:x","@carol:x"]}"#,
    ) throws -> RTCNotification {
        let content = #"""
            {"notification_type":"ring","sender_ts":\#(Self.now),"lifetime":30000,"m.mentions":\#(mentions),
             "m.relates_to":{"rel_type":"m.reference","event_id":"$membership"}}
            """#
        let text = EventSamples.text(
            type: "org.matrix.msc4075.rtc.notification", content: content, sender: "@alice:x", id: id)
        guard case .notification(let notification) = CallEvent.decode(try EventSamples.event(text)) else {
            throw EventRefusal.unknownNotificationType
        }
        return notification
    }

    func decline(_ sender: String, of id: String = "$ring") throws -> RTCDecline {
        let text = EventSamples.text(
            type: "m.rtc.decline", content: #"{"m.relates_to":{"rel_type":"m.reference","event_id":"\#(id)"}}"#,
            sender: sender, id: "$decline-\(sender)")
        guard case .decline(let decline) = CallEvent.decode(try EventSamples.event(text)) else {
            throw EventRefusal.missingReference
        }
        return decline
    }

    @Test(
        "what becomes of a ring",
        arguments: [
            ([], .ringing), ([.passes(29_999)], .ringing), ([.passes(30_000)], .missed),
            ([.joins("@bob:x")], .answered), ([.joins("@dave:x")], .answered), ([.joins("@alice:x")], .ringing),
            ([.declines("@bob:x")], .ringing), ([.declines("@bob:x"), .declines("@carol:x")], .declined),
            ([.declines("@alice:x"), .declines("@bob:x")], .ringing),
            ([.declines("@bob:x"), .joins("@carol:x")], .answered),
            ([.declines("@bob:x"), .passes(30_000)], .missed),
            ([.leaves("@alice:x")], .cancelled), ([.leaves("@bob:x")], .ringing),
            ([.joins("@bob:x"), .leaves("@alice:x")], .answered), ([.passes(30_000), .joins("@bob:x")], .missed),
        ] as [([Step], RingBoard.Outcome)])
    func outcomes(steps: [Step], expected: RingBoard.Outcome) throws {
        var board = RingBoard()
        let room = try EventSamples.room()
        board.take(try ring(), at: Self.now)
        for step in steps {
            switch step {
            case .joins(let user): board.joined(try EventSamples.user(user), in: room)
            case .leaves(let user): board.left(try EventSamples.user(user), in: room)
            case .declines(let user): board.take(try decline(user))
            case .passes(let time): board.expire(at: Self.now + time)
            }
        }
        #expect(board.rings(in: room).map(\.outcome) == [expected])
    }

    @Test("a ring for the whole room is not declined by some, and one of long ago rings no more")
    func roomAndAge() throws {
        var board = RingBoard()
        let room = try EventSamples.room()
        board.take(try ring("$old"), at: Self.now + 30_000)
        #expect(board.rings(in: room).isEmpty)
        board.take(try ring(mentions: #"{"room":true}"#), at: Self.now)
        board.take(try ring(mentions: #"{"room":true}"#), at: Self.now)
        board.take(try decline("@bob:x"))
        #expect(board.rings(in: room).map(\.outcome) == [.ringing])
        #expect(board.rings(in: room).first?.declinedBy == [try EventSamples.user("@bob:x")])
    }

    @Test("rings of a room and rooms are bounded")
    func bounds() throws {
        var board = RingBoard()
        for number in 0..<20 { board.take(try ring("$ring\(number)"), at: Self.now) }
        let kept = board.rings(in: try EventSamples.room())
        #expect(kept.count == RingBoard.maximumRings)
        #expect(kept.last?.notification.eventID.rawValue == "$ring19")
        #expect(board.roomCount == 1)
    }
}
