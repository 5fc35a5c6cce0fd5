// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import MatrixBridge
import Testing

@Suite("What candidates a peer of a one-to-one call named")
struct CandidateCensusTests {
    @Test("by type, from events and descriptions; whatever is no candidate does not count")
    func types() {
        var census = CandidateCensus()
        census.note("candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0")
        census.note("candidate:2 1 udp 1686052607 203.0.113.9 50001 typ srflx raddr 192.0.2.7 rport 50000")
        for line in ["", "typ", "candidate:1 1 udp 1 192.0.2.7 1 typ", "candidate:1 1 udp 1 192.0.2.7 1 typ magic"] {
            census.note(line)
        }
        #expect(census.sentences.hasPrefix("Your client named 1 addresses of its own, 1 seen from outside and 0 of"))
        #expect(census.sentences.contains("(TURN)"))
        census.note(description: "v=0\r\na=candidate:3 1 udp 41885439 198.51.100.1 3478 typ relay\r\na=mid:0\r\n")
        #expect(census.sentences.contains("0 of relays") == false)
        #expect(census.sentences.contains("`turn status`"))
    }

    @Test("none at all")
    func none() {
        #expect(CandidateCensus().sentences.contains("restricted"))
    }
}
