// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import CallEvents

/// A change as a short word, so that a script reads line by line.
private func word(_ change: RosterChange) -> String {
    switch change {
    case .entryStored(let entry): "stored \(entry.eventID)"
    case .entryRemoved: "removed"
    case .slotStored(let slot): "slot \(slot.slotID)"
    case .slotRemoved(_, let slotID): "no slot \(slotID)"
    case .callStarted: "started"
    case .memberJoined(let member): "joined \(member.membership.memberID)"
    case .memberUpdated(let member): "updated \(member.membership.memberID)"
    case .memberLeft(let member, .left(let reason)): "left \(member.membership.memberID) by itself, \(reason)"
    case .memberLeft(let member, let cause): "left \(member.membership.memberID) \(cause)"
    case .callEnded: "ended"
    case .refused(let refusal): "refused \(refusal)"
    }
}

@Suite("Call roster")
struct CallRosterTests {
    static let now = EventSamples.now
    static let alice = "@alice:example.com:DEVICE"
    static let bob = "@bob:example.com:DEVICE"

    var roster = CallRoster()

    mutating func apply(_ text: String, at now: UnixMilliseconds = Self.now) throws -> [String] {
        roster.apply(try EventSamples.event(text), at: now).map(word)
    }

    var memberIDs: [String] {
        get throws { roster.members(in: try EventSamples.room()).map(\.membership.memberID) }
    }

    static func bobSession(id: String = "$b", createdAt: UnixMilliseconds = now) -> String {
        EventSamples.session("@bob:example.com", id: id, createdAt: createdAt)
    }

    @Test("a call starts with its first member and ends once with its last")
    mutating func startAndEnd() throws {
        #expect(try apply(EventSamples.session(id: "$a")) == ["stored $a", "started", "joined \(Self.alice)"])
        #expect(try apply(Self.bobSession()) == ["stored $b", "joined \(Self.bob)"])
        #expect(
            try apply(EventSamples.session(id: "$a2", content: "{}")) == [
                "removed", "left \(Self.alice) by itself, unstated",
            ])
        #expect(
            try apply(EventSamples.session("@bob:example.com", id: "$b2", content: "{}")) == [
                "removed", "left \(Self.bob) by itself, unstated", "ended",
            ])
        #expect(try apply(EventSamples.session("@bob:example.com", id: "$b3", content: "{}")) == [])
        #expect(roster.size == (0, 0))
        #expect(roster.nextExpiry == nil)
    }

    @Test("a redelivered event changes nothing, a renewed one only its expiry")
    mutating func renewal() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        #expect(try apply(EventSamples.session(id: "$a")) == [])
        let renewed = EventSamples.session(id: "$a2", expires: 28_800_000)
        #expect(try apply(renewed) == ["stored $a2", "updated \(Self.alice)"])
        #expect(roster.nextExpiry == Self.now + 28_800_000)
        #expect(roster.expire(at: Self.now + 14_400_000).isEmpty)
        #expect(
            roster.expire(at: Self.now + 28_800_000).map(word) == ["removed", "left \(Self.alice) expired", "ended"])
        #expect(roster.nextExpiry == nil)
    }

    @Test("an expired event is refused and still replaces what stood under its key")
    mutating func expired() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        let stale = EventSamples.session(id: "$a2", createdAt: Self.now - 10, expires: 10)
        #expect(try apply(stale) == ["refused expired", "removed", "left \(Self.alice) replaced", "ended"])
        #expect(try apply(stale) == ["refused expired"])
    }

    @Test("an unusable or foreign state event removes the membership it overwrites")
    mutating func overwritten() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        let key = "_@alice:example.com_DEVICE_m.call"
        #expect(
            try apply(EventSamples.session("@mallory:example.com", id: "$m", key: key)) == [
                "refused stateKeyOfOtherUser", "removed", "left \(Self.alice) replaced", "ended",
            ])
        #expect(try memberIDs == [])
    }

    @Test(
        "who leaves the room or is banned leaves its calls, and comes back only after joining",
        arguments: ["leave", "ban"])
    mutating func senderLeaves(_ membership: String) throws {
        _ = try apply(EventSamples.session(id: "$a"))
        _ = try apply(EventSamples.session(device: "SECOND", id: "$a2"))
        _ = try apply(Self.bobSession())
        let changes = try apply(EventSamples.roomMember("@alice:example.com", membership))
        #expect(changes.filter { $0.hasSuffix("senderLeftRoom") }.count == 2)
        #expect(try memberIDs == [Self.bob])
        #expect(try apply(EventSamples.session(id: "$a3")) == ["refused senderNotJoined"])
        #expect(try apply(EventSamples.roomMember("@alice:example.com", "join")) == [])
        #expect(try apply(EventSamples.session(id: "$a4")) == ["stored $a4", "joined \(Self.alice)"])
    }

    @Test("the last member who leaves the room is remembered too")
    mutating func lastSenderLeaves() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        _ = try apply(EventSamples.roomMember("@alice:example.com", "ban"))
        #expect(roster.size == (0, 0))
        #expect(try apply(EventSamples.session(id: "$a2")) == ["refused senderNotJoined"])
    }

    @Test("a sticky membership wins over a state one of the same device, and gives way when it ends")
    mutating func stickyWins() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        #expect(
            try apply(EventSamples.draft(id: "$s")) == ["stored $s", "left \(Self.alice) replaced", "joined uuid"])
        #expect(try memberIDs == ["uuid"])
        #expect(try apply(EventSamples.session(id: "$a2")) == ["stored $a2"])
        #expect(
            roster.expire(at: Self.now + 3_600_000).map(word) == [
                "removed", "left uuid replaced", "joined \(Self.alice)",
            ])
    }

    @Test("two state keys of one device are one member, by the later expiry and then the larger event id")
    mutating func stateKeys() throws {
        _ = try apply(EventSamples.session(id: "$b", expires: 20_000))
        let other = "@alice:example.com"
        #expect(try apply(EventSamples.session(id: "$c", key: other, expires: 10_000)) == ["stored $c"])
        #expect(try apply(EventSamples.session(id: "$a", key: other, expires: 20_000)) == ["stored $a"])
        #expect(
            try apply(EventSamples.session(id: "$d", key: other, expires: 20_000)) == [
                "stored $d", "updated \(Self.alice)",
            ])
        #expect(roster.size == (1, 2))
        #expect(try memberIDs == [Self.alice])
    }

    @Test("of two sticky events with one key the later expiry wins, then the larger event id")
    mutating func stickyOrder() throws {
        _ = try apply(EventSamples.draft(id: "$b", sticky: 60_000))
        #expect(try apply(EventSamples.draft(id: "$c", sticky: 59_999)) == ["refused superseded"])
        #expect(try apply(EventSamples.draft(id: "$a", sticky: 60_000)) == ["refused superseded"])
        #expect(try apply(EventSamples.draft(id: "$c", sticky: 60_000)) == ["stored $c", "updated uuid"])
        #expect(
            try apply(EventSamples.draft(id: "$d", time: Self.now + 1, sticky: 60_000), at: Self.now + 1) == [
                "stored $d", "updated uuid",
            ])
        #expect(roster.nextExpiry == Self.now + 60_001)
        let member = try #require(roster.members(in: try EventSamples.room()).first)
        #expect(member.joinedAt == Self.now)
    }

    @Test("a sticky leave is remembered, so the join it replaced cannot come back")
    mutating func stickyLeave() throws {
        _ = try apply(EventSamples.draft(id: "$a", sticky: 60_000))
        let leave = EventSamples.draft(
            content: #"{"msc4354_sticky_key":"uuid"}"#, id: "$b", time: Self.now + 10, sticky: 60_000)
        let changes = try apply(leave, at: Self.now + 10)
        #expect(changes.first == "stored $b" && changes.last == "ended")
        #expect(try apply(EventSamples.draft(id: "$a", sticky: 60_000), at: Self.now + 20) == ["refused superseded"])
        #expect(try apply(leave, at: Self.now + 20) == [])
        #expect(roster.expire(at: Self.now + 60_010).map(word) == ["removed"])
    }

    @Test("the settled form counts only while its slot is open")
    mutating func slots() throws {
        #expect(try apply(EventSamples.sticky(id: "$s")) == ["stored $s"])
        #expect(try memberIDs == [])
        #expect(try apply(EventSamples.slot()) == ["slot m.call#room", "started", "joined uuid"])
        #expect(try apply(EventSamples.slot()) == [])
        #expect(
            try apply(EventSamples.slot(status: "closed")) == ["no slot m.call#room", "left uuid slotClosed", "ended"])
        _ = try apply(EventSamples.slot())
        #expect(
            try apply(EventSamples.slot(status: "ajar")) == [
                "refused unknownSlotStatus", "no slot m.call#room", "left uuid slotClosed", "ended",
            ])
    }

    @Test("both spellings of the room's slot are one call")
    mutating func displayedSlot() throws {
        _ = try apply(EventSamples.slot())
        _ = try apply(Self.bobSession())
        _ = try apply(EventSamples.sticky(id: "$s"))
        let call = try #require(roster.calls.first)
        #expect(roster.calls.count == 1 && call.members.count == 2)
        #expect(call.id.slotID == .roomCall)
        #expect(roster.call(call.id) == call)
    }

    @Test("a redacted membership is gone, an outdated one makes no difference")
    mutating func redaction() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        _ = try apply(EventSamples.session(id: "$a2"))
        #expect(try apply(EventSamples.redaction(of: "$a")) == [])
        #expect(try apply(EventSamples.redaction(of: "$a2")) == ["removed", "left \(Self.alice) redacted", "ended"])
    }

    @Test("a call has a start, a generation, an intent and a transport")
    mutating func call() throws {
        _ = try apply(Self.bobSession(createdAt: Self.now - 5000))
        _ = try apply(
            EventSamples.session(
                id: "$a", content: EventSamples.sessionContent(selection: "oldest_membership", url: "https://other")))
        let call = try #require(roster.calls.first)
        #expect(call.startedAt == Self.now - 5000)
        #expect(call.generation == .sessionState)
        #expect(call.intent == .audio)
        #expect(call.members.map(\.membership.memberID) == [Self.bob, Self.alice])
        let oldest = RTCTransport.liveKitService(url: "https://rtc.example.com/livekit/jwt", alias: "!room:example.com")
        #expect(call.transport(of: call.members[1]) == oldest)
        _ = try apply(EventSamples.draft(id: "$v"))
        #expect(roster.calls.first?.intent == .video)
    }

    @Test("unrelated and refused events leave the roster alone")
    mutating func unrelated() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        #expect(try apply(EventSamples.notification) == [])
        #expect(try apply(EventSamples.legacy("hangup", "")) == [])
        #expect(try apply(EventSamples.draft(sticky: nil)) == ["refused notSticky"])
        #expect(try memberIDs == [Self.alice])
    }

    @Test("a room that is forgotten ends its calls")
    mutating func forget() throws {
        _ = try apply(EventSamples.session(id: "$a"))
        _ = try apply(EventSamples.slot())
        #expect(
            roster.forget(try EventSamples.room()).map(word) == [
                "removed", "left \(Self.alice) roomForgotten", "ended", "no slot m.call#room",
            ])
        #expect(roster.size == (0, 0))
    }

    @Test("limits refuse with their reason and keep what is there")
    func limits() throws {
        var limits = CallRoster.Limits()
        limits.rooms = 2
        limits.memberships = 4
        limits.membershipsInRoom = 3
        limits.membershipsOfUserInRoom = 2
        limits.slotsInRoom = 1
        var suite = CallRosterTests(roster: CallRoster(limits: limits))
        _ = try suite.apply(EventSamples.session(device: "A", id: "$1"))
        _ = try suite.apply(EventSamples.session(device: "B", id: "$2"))
        #expect(
            try suite.apply(EventSamples.session(device: "C", id: "$3")) == ["refused tooManyMembershipsOfUser"])
        _ = try suite.apply(EventSamples.session("@bob:h", id: "$4"))
        #expect(
            try suite.apply(EventSamples.session("@carol:h", id: "$5")) == ["refused tooManyMembershipsInRoom"])
        _ = try suite.apply(EventSamples.slot())
        #expect(try suite.apply(EventSamples.slot(key: "m.call#b")) == ["refused tooManySlots"])
        _ = try suite.apply(EventSamples.session("@dave:h", id: "$6", room: "!second"))
        #expect(
            try suite.apply(EventSamples.session("@erin:h", id: "$7", room: "!second"))
                == ["refused tooManyMemberships"])
        #expect(try suite.apply(EventSamples.session("@erin:h", id: "$8", room: "!third")) == ["refused tooManyRooms"])
        // A renewal needs no room.
        #expect(try suite.apply(EventSamples.session(device: "A", id: "$9")).first == "stored $9")
        #expect(suite.roster.size == (2, 4))
    }

    @Test("stored rows rebuild the roster")
    mutating func restore() throws {
        var entries: [RosterEntry.ID: RosterEntry] = [:]
        var slots: [RTCSlot] = []
        let script = [
            EventSamples.session(id: "$a"), Self.bobSession(), EventSamples.draft(id: "$d"), EventSamples.slot(),
            EventSamples.sticky(content: EventSamples.stickyContent(member: "m2"), id: "$s"),
            EventSamples.session("@bob:example.com", id: "$b2", content: "{}"),
        ]
        for text in script {
            for change in roster.apply(try EventSamples.event(text), at: Self.now) {
                switch change {
                case .entryStored(let entry): entries[entry.id] = entry
                case .entryRemoved(let id): entries[id] = nil
                case .slotStored(let slot): slots.append(slot)
                default: continue
                }
            }
        }
        var restored = CallRoster(restoring: Array(entries.values), slots: slots)
        #expect(restored.calls == roster.calls)
        #expect(restored.size == roster.size)
        #expect(restored.nextExpiry == roster.nextExpiry)
        let late = Self.now + 100_000_000
        #expect(Set(restored.expire(at: late).map(word)) == Set(roster.expire(at: late).map(word)))
        #expect(restored.size.memberships == 0)
    }

    @Test("storage keys are unique")
    func storageKeys() throws {
        let user = try EventSamples.user("@a:h")
        #expect(RosterEntry.Key.state("k").storageKey == #"["state","k"]"#)
        #expect(
            RosterEntry.Key.sticky(sender: user, type: "m.rtc.member", key: "k").storageKey
                == #"["sticky","@a:h","m.rtc.member","k"]"#)
    }

    @Test("many renewals do not make the roster grow")
    mutating func renewalsAreBounded() throws {
        for index in 0..<1000 {
            _ = try apply(EventSamples.session(id: "$\(index)", expires: 14_400_000 + Int64(index)))
        }
        #expect(roster.size == (1, 1))
        #expect(roster.nextExpiry == Self.now + 14_400_999)
    }
}

@Suite("Expiry queue")
struct ExpiryQueueTests {
    @Test("elements come out in order of expiry")
    func order() throws {
        var queue = ExpiryQueue()
        let id = RosterEntry.ID(roomID: try EventSamples.room(), key: .state("k"))
        for time: UnixMilliseconds in [5, 3, 9, 1, 7, 3, 8, 2] { queue.insert(.init(expiresAt: time, id: id)) }
        var seen: [UnixMilliseconds] = []
        while let first = queue.first {
            seen.append(first.expiresAt)
            queue.removeFirst()
        }
        #expect(seen == [1, 2, 3, 3, 5, 7, 8, 9])
        queue.removeFirst()
        #expect(queue.count == 0)
    }
}

@Suite("Departed users")
struct DepartedUsersTests {
    @Test("the oldest are forgotten beyond the capacity")
    func capacity() throws {
        var departed = DepartedUsers()
        let room = try EventSamples.room()
        for index in 0...DepartedUsers.capacity { departed.insert(try EventSamples.user("@u\(index):h"), in: room) }
        #expect(!departed.contains(try EventSamples.user("@u0:h"), in: room))
        #expect(departed.contains(try EventSamples.user("@u1:h"), in: room))
        #expect(departed.contains(try EventSamples.user("@u\(DepartedUsers.capacity):h"), in: room))
    }
}
