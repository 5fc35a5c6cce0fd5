// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Foundation
import Testing

@testable import MatrixBridge

@Suite("callbridge ports")
struct PortPlanTests {
    private func text(_ yaml: String, isDevelopment: Bool = false) throws -> String {
        PortPlan(try #require(Sample.reading(yaml, isDevelopment: isDevelopment).configuration)).text
    }

    @Test("media is open to everybody, HTTP behind the proxy is not")
    func behindProxy() throws {
        let text = try text("bind_addresses: [127.0.0.1]\nprometheus: {port: 9090}\n")
        #expect(text.contains("ufw allow 7882/udp comment 'Callbridge media'"))
        #expect(text.contains("udp dport 7882 accept comment \"Callbridge media\""))
        let closed = try #require(
            text.components(separatedBy: "May stay closed:\n").last?.components(separatedBy: "\n\n").first)
        #expect(closed.contains("7880/tcp") && closed.contains("9090/tcp") && closed.contains("on loopback"))
        #expect(!text.contains("ufw allow 7880") && !text.contains("ufw allow 9090"))
        #expect(!closed.contains("bind_addresses"))
        #expect(text.contains("ufw allow 443/tcp"))
    }

    @Test("each worker has its port")
    func workers() throws {
        let text = try text("rtc: {udp_port: 7882-7885}\n")
        #expect(text.contains("ufw allow 7882:7885/udp"))
        #expect(text.contains("udp dport 7882-7885 accept"))
        #expect(text.contains("Forward UDP 7882-7885"))
    }

    @Test("an HTTP port that everybody reaches is pointed out")
    func openHTTP() throws {
        #expect(try text("port: 7880\n").contains("bind_addresses: [127.0.0.1]"))
    }

    @Test("TURN servers are listed by host, with the relay range")
    func relays() throws {
        let text = try text(
            """
            rtc:
              node_ip: 203.0.113.7
              turn_servers:
                - {host: turn.example.org, port: 3478, protocol: udp, secret: \(Sample.secret)}
                - {host: turn.example.org, port: 443, protocol: tls, secret: \(Sample.secret)}
            """)
        #expect(text.contains("Open to everybody on the TURN server turn.example.org:"))
        #expect(text.contains("3478/udp") && text.contains("443/tcp") && text.contains("49152-65535/udp"))
        #expect(text.contains("ufw allow 49152:65535/udp"))
        #expect(!text.contains(Sample.secret))
        #expect(!text.contains("Name the public address"))
    }

    @Test("a developer opens nothing")
    func development() throws {
        let text = try text("", isDevelopment: true)
        #expect(text.contains("Nothing to open"))
        #expect(!text.contains("ufw"))
    }
}
