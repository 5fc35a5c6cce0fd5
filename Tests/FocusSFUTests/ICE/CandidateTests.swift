// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("ICE candidates, RFC 8839 §5.1")
struct CandidateTests {
    @Test(
        "lines are written as they were read",
        arguments: [
            "candidate:1 1 udp 2130706431 203.0.113.141 8998 typ host",
            "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            "candidate:3 1 udp 2130706431 2001:db8::1 7882 typ host",
            "candidate:4 1 tcp 1518280447 192.0.2.3 9 typ host tcptype active",
            "candidate:5 2 udp 41885439 192.0.2.9 3478 typ relay raddr 0.0.0.0 rport 0 ufrag aBcD",
        ])
    func roundTrip(line: String) throws {
        let candidate = try #require(Candidate(line: line))
        #expect(candidate.line == line)
        #expect(Candidate(line: "a=" + line + "\r\n") == candidate)
    }

    @Test("a browser's extensions and capitals are tolerated")
    func browser() throws {
        let candidate = try #require(
            Candidate(
                line: "candidate:842163049 1 UDP 1677729535 198.51.100.7 51556 typ srflx raddr 10.0.0.17 rport 51556"
                    + " generation 0 ufrag EsAw network-id 1 network-cost 50"))
        #expect(candidate.transport == .udp)
        #expect(candidate.usernameFragment == "EsAw")
        #expect(candidate.address == NetworkAddress("198.51.100.7", port: 51556))
        #expect(candidate.related == Candidate.Endpoint(host: "10.0.0.17", port: 51556))
    }

    @Test("a hidden address stays a name")
    func multicastName() throws {
        let candidate = try #require(
            Candidate(line: "candidate:1 1 udp 2113937151 0f1c2d3e-aaaa-bbbb-cccc-0123456789ab.local 60000 typ host"))
        #expect(candidate.address == nil)
        #expect(candidate.endpoint.host.hasSuffix(".local"))
    }

    @Test(
        "lines that say too little or too much are refused",
        arguments: [
            "", "candidate:", "candidate:1 1 udp 1 192.0.2.1 1 typ", "candidate:1 0 udp 1 192.0.2.1 1 typ host",
            "candidate:1 1 sctp 1 192.0.2.1 1 typ host", "candidate:1 1 udp 4294967296 192.0.2.1 1 typ host",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host", "candidate:1 1 udp 1 192.0.2.1 1 kind host",
            "candidate:1 1 udp 1 192.0.2.1 1 typ alien", "candidate:1 -1 udp 1 192.0.2.1 1 typ host",
            "candidate:" + String(repeating: "1 ", count: 600),
            "candidate:\u{301}1 1 udp 1 192.0.2.1 1 typ host", "\u{301}1 1 udp 1 192.0.2.1 1 typ host",
            "1 1 udp 1 " + String(repeating: "a", count: 257) + " 1 typ host",
        ])
    func refused(line: String) {
        #expect(Candidate(line: line) == nil)
    }

    @Test("our own candidates: priority by the formula, brackets never, TCP is passive")
    func own() throws {
        let address = try #require(NetworkAddress("2001:db8::7", port: 7882))
        let udp = Candidate(host: address, transport: .udp, localPreference: 65535)
        #expect(udp.priority == 2_130_706_431)
        #expect(udp.line == "candidate:2 1 udp 2130706431 2001:db8::7 7882 typ host")
        let tcp = Candidate(host: NetworkAddress(ipv4: 0xC000_0201, port: 7881), transport: .tcp, localPreference: 1)
        #expect(tcp.line == "candidate:3 1 tcp 2113929727 192.0.2.1 7881 typ host tcptype passive")
        #expect(Candidate.priority(.relayed, localPreference: 0, component: 256) == 0)
        #expect(Candidate(line: udp.line) == udp)
    }

    @Test("mutated lines never trap")
    func mutations() {
        let line =
            "candidate:842163049 1 udp 1677729535 198.51.100.7 51556 typ srflx raddr 10.0.0.17 rport 51556 ufrag E"
        for bytes in MutatedBytes(of: Array(line.utf8), seed: 8839) {
            _ = Candidate(line: String(decoding: bytes, as: UTF8.self))?.line
        }
    }
}
