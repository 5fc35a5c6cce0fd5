// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("The name a person probably meant")
struct NearestNameTests {
    @Test(
        "slips are found",
        arguments: [
            ("prot", "port"), ("udp_prt", "udp_port"), ("udpPort", "udp_port"), ("nodeip", "node_ip"),
            ("loging", "logging"), ("romo", "room"), ("keyfile", "key_file"), ("logging", "logging"),
        ])
    func found(name: String, meant: String) {
        let names = ["room", "port", "udp_port", "node_ip", "logging", "key_file", "keys"]
        #expect(NearestName.of(name, in: names) == meant)
    }

    @Test("other words are not", arguments: ["whatever", "x", "", "certificate"])
    func notFound(name: String) {
        #expect(NearestName.of(name, in: ["room", "port", "udp_port", "node_ip"]) == nil)
    }

    @Test("edits: insertion, removal, replacement, swap")
    func edits() {
        func distance(_ left: String, _ right: String) -> Int {
            NearestName.distance(Array(left.utf8), Array(right.utf8))
        }
        #expect(distance("kitten", "sitting") == 3)
        #expect(distance("ab", "ba") == 1)
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "abc") == 0)
    }
}
