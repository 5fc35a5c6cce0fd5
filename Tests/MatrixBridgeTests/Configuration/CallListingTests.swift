// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("callbridge calls")
struct CallListingTests {
    let events = TransactionInboxTests()

    private func roster(_ changes: [JSONValue]) -> CallRoster {
        var roster = CallRoster()
        for change in changes {
            guard case .success(let event) = RoomEvent.decode(change) else { continue }
            _ = roster.apply(event, at: events.clock.now)
        }
        return roster
    }

    @Test("one line a member, the room at the first")
    func table() {
        let bob = Identifier.user("@bob:example.com")
        let both = [events.membership(event: "$1"), events.membership(bob, event: "$2", device: "BOBDEV")]
        let calls = roster(both).calls
        let lines = CallListing(calls, at: events.clock.now + 65 * 60_000).table.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].hasPrefix("ROOM               SINCE                             GENERATION  MEMBER"))
        #expect(
            lines[1].split(separator: "  ").map { $0.trimmingPrefix(" ") } == [
                "!room:example.com", "2026-09-21 14:13:20Z (1 h 5 min)", "state", "@alice:example.com", "DEVICE", "-",
                "https://rtc.example.com",
            ])
        #expect(lines[2].hasPrefix("                   ") && lines[2].contains("@bob:example.com    BOBDEV"))
        #expect(lines[3] == "1 call, 2 members")
        #expect(CallListing([], at: 0).table == "no calls")
    }

    @Test("JSON holds the same, with times in milliseconds")
    func json() throws {
        let listing = CallListing(roster([events.membership(event: "$1")]).calls, at: events.clock.now)
        let call = try #require(try JSONValue.parse(Array(listing.json.utf8))["calls"]?.array?.first)
        #expect(call["room_id"]?.string == "!room:example.com")
        #expect(call["since"]?.integer == events.clock.now)
        #expect(call["generation"]?.string == "state")
        let member = call["members"]?.array?.first
        #expect(member?["user_id"]?.string == "@alice:example.com")
        #expect(member?["device_id"]?.string == "DEVICE")
        #expect(member?["intent"] == .null)
        #expect(member?["focus"]?.string == "https://rtc.example.com")
        #expect(CallListing([], at: 0).json == #"{"calls":[]}"#)
    }

    @Test("what people wrote cannot steer the terminal")
    func controls() {
        guard case .object(var event) = events.membership(event: "$1"), case .object(var content)? = event["content"]
        else {
            Issue.record("no event")
            return
        }
        content["foci_preferred"] = .array([
            .object(["type": .string("livekit"), "livekit_service_url": .string("https://x\u{1B}[2J\n\u{202E}y")])
        ])
        event["content"] = .object(content)
        let table = CallListing(roster([.object(event)]).calls, at: events.clock.now).table
        #expect(table.contains("https://x?[2J??y"))
    }
}
