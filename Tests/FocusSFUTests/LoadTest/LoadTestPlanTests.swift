// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("What a load test is told")
struct LoadTestPlanTests {
    @Test("addresses of servers")
    func addresses() throws {
        let plain = try SignalURL("ws://127.0.0.1:7880")
        #expect((plain.host, plain.port, plain.prefix) == ("127.0.0.1", 7_880, ""))
        let prefixed = try SignalURL("http://calls.example.org/livekit/sfu/")
        #expect((prefixed.host, prefixed.port, prefixed.prefix) == ("calls.example.org", 80, "/livekit/sfu"))
        let v6 = try SignalURL("WS://[::1]:7880/")
        #expect((v6.host, v6.port, v6.prefix, v6.authority) == ("::1", 7_880, "", "[::1]:7880"))
    }

    @Test(
        "what is no address",
        arguments: [
            "", "ws://", "example.org", "ws://:80", "ws://host:port", "ws://host:0", "ws://host:70000", "ftp://host",
            "ws://user@host", "ws://host/a?b=c", "ws://[::1",
        ])
    func malformed(_ text: String) {
        #expect(throws: SignalURL.Fault.malformed) { try SignalURL(text) }
    }

    @Test("TLS is refused by name", arguments: ["wss://example.org", "https://example.org"])
    func tls(_ text: String) {
        #expect(throws: SignalURL.Fault.needsTLS) { try SignalURL(text) }
    }

    @Test("who receives how many tracks")
    func expectedTracks() throws {
        var plan = LoadTestPlan(
            url: try SignalURL("ws://h"), admission: .tokens([]), room: "room",
            roles: LoadTestPlan.broadcast(publishers: 2, subscribers: 3, audio: true, video: false))
        #expect(plan.roles.map(\.subscribes) == [false, false, true, true, true])
        #expect((0..<5).map { plan.expectedTracks(of: $0, video: false) } == [0, 0, 2, 2, 2])
        #expect((0..<5).map { plan.expectedTracks(of: $0, video: true) } == [0, 0, 0, 0, 0])
        plan.roles = LoadTestPlan.meeting(of: 4, talkers: 2, audio: true, video: true)
        #expect((0..<4).map { plan.expectedTracks(of: $0, video: true) } == [1, 1, 2, 2])
    }

    @Test("candidates in trickle messages, as servers write their JSON")
    func candidates() {
        let line = "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"
        #expect(LiveKitSignalling.candidate(in: #"{"candidate":"\#(line)","sdpMid":"0","sdpMLineIndex":0}"#) == line)
        #expect(LiveKitSignalling.candidate(in: #"{ "sdpMid" : "0", "candidate" : "\#(line)" }"#) == line)
        for json in ["", "{}", #"{"candidate":null}"#, #"{"candidate":""}"#, #"{"candidate""#] {
            #expect(LiveKitSignalling.candidate(in: json) == nil)
        }
    }

    @Test("what /proc says of a process, whatever its name")
    func processUsage() throws {
        let stat = "4711 (a) b (c) R 1 4711 4711 0 -1 4194304 900 0 0 0 250 130 0 0 20 0 9 0 1000 1 2 3"
        let usage = try #require(
            ProcessUsage(stat: stat, statm: "9000 2500 700 1 0 900 0\n", ticksPerSecond: 100, pageBytes: 4_096))
        #expect(usage.processorSeconds == 3.8)
        #expect(usage.residentBytes == 2_500 * 4_096)
        #expect(ProcessUsage(stat: "", statm: "1 2", ticksPerSecond: 100, pageBytes: 4_096) == nil)
        #expect(ProcessUsage(stat: stat, statm: "", ticksPerSecond: 100, pageBytes: 4_096) == nil)
    }

    @Test("what a machine below takes from this one")
    func stolenTime() {
        let stat = "cpu  5155075 469618 590397 2765701 22620 0 50413 34661 0 0\ncpu0 1 1 1 1 1 0 1 99 0 0\n"
        #expect(ProcessUsage.stolenSeconds(stat: stat, ticksPerSecond: 100) == 346.61)
        for stat in ["", "cpu", "cpu 1 2 3 4 5 6 7", "intr 1 2 3 4 5 6 7 8 9"] {
            #expect(ProcessUsage.stolenSeconds(stat: stat, ticksPerSecond: 100) == 0)
        }
    }
}
