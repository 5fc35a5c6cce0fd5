// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("TURN URIs, RFC 7065 §3")
struct TURNServerTests {
    @Test(
        "what is built",
        arguments: [
            (TURNServer.Transport.udp, "turn:turn.example.org:3478?transport=udp"),
            (.tcp, "turn:turn.example.org:3478?transport=tcp"),
            (.tls, "turns:turn.example.org:5349?transport=tcp"),
        ])
    func building(transport: TURNServer.Transport, uri: String) throws {
        let server = try TURNServer(host: "turn.example.org", transport: transport)
        #expect(server.uri == uri)
        #expect(try TURNServer(uri: uri) == server)
    }

    @Test(
        "what is read",
        arguments: [
            ("turn:example.org", "turn:example.org:3478?transport=udp"),
            ("turns:example.org", "turns:example.org:5349?transport=tcp"),
            ("turn:example.org:8000?transport=tcp", "turn:example.org:8000?transport=tcp"),
            ("turns:example.org:443", "turns:example.org:443?transport=tcp"),
            ("turn:192.168.1.1:1", "turn:192.168.1.1:1?transport=udp"),
            ("turn:[2001:db8::1]", "turn:[2001:db8::1]:3478?transport=udp"),
            ("turns:[::ffff:192.0.2.1]:65535", "turns:[::ffff:192.0.2.1]:65535?transport=tcp"),
            ("turn:localhost", "turn:localhost:3478?transport=udp"),
        ]
    )
    func reading(text: String, uri: String) throws {
        #expect(try TURNServer(uri: text).uri == uri)
    }

    @Test(
        "what is refused, and why",
        arguments: [
            ("", TURNServerFault.scheme), ("stun:a", .scheme), ("TURN:a", .scheme), ("turn", .scheme),
            ("https://example.org", .scheme),
            ("turn:", .host), ("turn://a", .host), ("turn:a b", .host), ("turn:a..b", .host), ("turn:-a", .host),
            ("turn:user@a", .host), ("turn:[::1", .host), ("turn:[1.2.3.4]", .host), ("turn:[a]", .host),
            ("turn:1.2.3.999", .host), ("turn:[fe80::1%eth0]", .host), ("turn:é", .host), ("turn:a\u{0}", .host),
            ("turn:a:", .port), ("turn:a:0", .port), ("turn:a:65536", .port), ("turn:a:+1", .port),
            ("turn:::1", .port), ("turn:[::1]1", .port), ("turn:a:1/x", .port),
            ("turn:a?transport=tls", .parameter), ("turn:a?", .parameter), ("turn:a?x=y", .parameter),
            ("turn:a?transport=udp&x", .parameter), ("turns:a?transport=udp", .dtls),
        ]
    )
    func refusals(text: String, fault: TURNServerFault) {
        #expect(throws: fault) { try TURNServer(uri: text) }
    }

    @Test("hosts may be IPv6 with or without brackets")
    func addresses() throws {
        #expect(try TURNServer(host: "::1", transport: .udp) == TURNServer(host: "[::1]", transport: .udp))
        #expect(throws: TURNServerFault.host) { try TURNServer(host: "[a.example]", transport: .udp) }
        #expect(throws: TURNServerFault.port) { try TURNServer(host: "a.example", port: 0, transport: .udp) }
        #expect(throws: TURNServerFault.host) {
            try TURNServer(host: String(repeating: "a.", count: 127) + "a", transport: .udp)
        }
    }
}
