// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf
import Testing

@testable import FocusSFU

extension CallTests {
    @Suite("The signal socket")
    struct SignalSocketTests {
        @Test("a client that writes JSON is answered in JSON")
        func text() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice", .two)
                alice.socket.usesText = true
                try call.settle([alice])
                #expect(alice.socket.textFrames > 0)
            }
        }

        @Test("pings of both kinds are answered")
        func pings() async throws {
            try await SimulatedCall.run { call in
                let alice = try call.join("alice")
                alice.send(.ping(7))
                var ping = LiveKitPing()
                ping.timestamp = 99
                alice.send(.pingReq(ping))
                try call.wait("both pongs") {
                    alice.responses.contains { if case .pong = $0 { true } else { false } }
                        && alice.responses.contains {
                            if case .pongResp(let pong) = $0 { pong.lastPingTimestamp == 99 } else { false }
                        }
                }
            }
        }

        @Test(
            "refusals before the upgrade have their status and text",
            arguments: [
                ("/rtc/validate", 401), ("/rtc/validate?access_token=nonsense", 401),
                ("/rtc/v1/validate?access_token=GOOD", 400), ("/rtc/validate?access_token=GOOD", 200),
                ("/rtc/validate?access_token=NOJOIN", 401), ("/rtc/validate?access_token=ELSEWHERE&attributes=!!", 400),
                ("/rtc/validate?access_token=LONG", 400), ("/rtc/validate?access_token=NAMED", 400),
                ("/rtc/validate?access_token=NOBODY&publish=x", 400), ("/", 200),
            ])
        func validate(path: String, status: Int) async throws {
            try await SimulatedCall.run { call in
                let tokens = [
                    "GOOD": try SimulatedCall.token("alice"),
                    "NOJOIN": try SimulatedCall.token("alice") { $0.video?.roomJoin = false },
                    "ELSEWHERE": try SimulatedCall.token("alice", room: "elsewhere"),
                    "NAMED": try SimulatedCall.token("alice") { $0.name = String(repeating: "x", count: 257) },
                    "NOBODY": try SimulatedCall.token(""),
                    "LONG": try SimulatedCall.token(String(repeating: "x", count: 257)) { $0.name = "" },
                ]
                let target = tokens.reduce(path) { $0.replacing($1.key, with: $1.value) }
                let client = try RawHTTPClient(port: call.port)
                client.send(HTTPTestServer.get(target))
                let response = try client.readResponse()
                #expect(response.status == status, "\(response.text)")
                let isAboutParameters = path.contains("v1") || path.contains("!!") || path.contains("NAMED")
                #expect(call.focus.signalRefusals[.joinParameters] == (isAboutParameters ? 1 : 0))
                if status == 200, path.contains("validate") { #expect(response.text == "success") }
                if path.contains("v1") { #expect(response.text == "join_request is required") }
            }
        }

        @Test("asking whether a join would work makes no room, and the room's own rules hold")
        func validateMakesNothing() async throws {
            try await SimulatedCall.run(configure: { $0.limits.rooms = 1 }) { call in
                func validate(_ room: String) throws -> Int {
                    let client = try RawHTTPClient(port: call.port)
                    let token = try SimulatedCall.token("alice", room: room)
                    client.send(HTTPTestServer.get("/rtc/validate?access_token=\(token)"))
                    return try client.readResponse().status
                }
                #expect(try validate("room") == 200)
                #expect(call.ask { await $0.directory.roomExists(named: "room") } == false)
                _ = try call.join("bob")
                #expect(try validate("room") == 200)
                #expect(try validate("one too many") == 503)
            }
        }

        @Test("the address that clients were given is there with and without a slash", arguments: ["", "/"])
        func baseAddress(end: String) async throws {
            try await SimulatedCall.run { call in
                let client = try RawHTTPClient(port: call.port)
                client.send(HTTPTestServer.get("/livekit/sfu" + end))
                let response = try client.readResponse()
                #expect(response.status == 200)
                #expect(response.text == "OK")
            }
        }

        @Test("late news of an ended room does not touch its successor")
        func successor() async throws {
            try await SimulatedCall.run { call in
                let first = call.ask { try? await $0.directory.createRoom(named: "room").sid } ?? nil
                #expect(call.ask { await $0.directory.worker(ofRoom: "room")?.deleteRoom(named: "room") } == true)
                let second = call.ask { try? await $0.directory.createRoom(named: "room").sid } ?? nil
                #expect(first != second)
                let sid = try #require(first)
                _ = call.ask { await $0.directory.roomEnded("room", sid: sid) }
                #expect(call.ask { await $0.directory.roomExists(named: "room") } == true)
                let last = try #require(second)
                #expect(call.ask { await $0.directory.deleteRoom(named: "room") } == true)
                _ = call.ask { await $0.directory.roomEnded("room", sid: last) }
                #expect(call.ask { await $0.directory.roomExists(named: "room") } == false)
            }
        }

        @Test("a removal from before the process counts")
        func restoredRevocation() async throws {
            try await SimulatedCall.run { call in
                call.focus.directory.restoreRevocation(of: "alice", inRoom: "room", at: UnixClock.seconds() - 60)
                #expect(throws: SignalSocket.Refused.self) { _ = try call.enter("alice") }
                let newer = try call.join("alice") { $0.issuedAt = UnixClock.seconds() }
                #expect(newer.leave == nil)
            }
        }

        @Test("rooms that nobody made are not made by a join when the configuration says so")
        func noRoom() async throws {
            try await SimulatedCall.run(configure: { $0.createsRoomsOnJoin = false }) { call in
                #expect(throws: SignalSocket.Refused.self) { _ = try call.enter("alice") }
                _ = call.ask { try? await $0.directory.createRoom(named: "room") }
                _ = try call.join("alice")
            }
        }
    }
}
