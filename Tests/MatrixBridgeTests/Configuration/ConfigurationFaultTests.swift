// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Configuration: faults")
struct ConfigurationFaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var yaml: String
        var report: String
        var testDescription: String { yaml.debugDescription }
    }

    static let cases: [Case] = [
        Case(
            yaml: "region: here\nport: 78800\n",
            report: """
                fault: port must be a whole number from 1 to 65535, not "78800"
                  at LIVEKIT_CONFIG:2:7
                  2 | port: 78800
                            ^
                  fix: port: 7880
                """),
        Case(
            yaml: "rtc:\n  pli_throttle:\n    low_quality: 500\n",
            report: """
                fault: rtc.pli_throttle.low_quality must be a number with a unit (ms, s, m or h), not "500"
                  at LIVEKIT_CONFIG:3:18
                  3 |     low_quality: 500
                                       ^
                  fix: low_quality: 500ms
                """),
        Case(
            yaml: "room:\n  auto_create: [true]\n",
            report: """
                fault: room.auto_create must be true or false, not a list
                  at LIVEKIT_CONFIG:2:16
                  2 |   auto_create: …
                                     ^
                  fix: auto_create: true
                """),
        Case(
            yaml: "rtc: 7882\n",
            report: """
                fault: rtc must be a map, not a single value
                  at LIVEKIT_CONFIG:1:6
                  fix: rtc:
                         udp_port: …
                """),
        Case(
            yaml: "rtc:\n  udp_port: 7882-9000\n",
            report: """
                fault: rtc.udp_port names 1119 ports; each belongs to a media worker, 64 at most
                  at LIVEKIT_CONFIG:2:13
                  2 |   udp_port: …
                                  ^
                  fix: udp_port: 7882
                """),
        Case(
            yaml: "logging:\n  level: chatty\n",
            report: """
                fault: logging.level must be one of trace, debug, info, notice, warning, error, critical, warn, not "chatty"
                  at LIVEKIT_CONFIG:2:10
                  2 |   level: chatty
                               ^
                  fix: level: info
                """),
        Case(
            yaml: "rtc:\n  node_ip: example.org\n",
            report: """
                fault: rtc.node_ip must be an IPv4 or IPv6 address, or a list of them, not "example.org"
                  at LIVEKIT_CONFIG:2:12
                  2 |   node_ip: example.org
                                 ^
                  fix: node_ip: 203.0.113.7
                """),
        Case(
            yaml: "port: 1\n\tregion: x\n",
            report: """
                fault: a tab where only spaces may indent
                  at LIVEKIT_CONFIG:2:1
                  2 |  region: …
                      ^
                  fix: replace the tab by two spaces
                """),
        Case(
            yaml: "port: 1\nport: 2\n",
            report: """
                fault: key port stands twice in one map, first in line 1
                  at LIVEKIT_CONFIG:2:1
                  2 | port: …
                      ^
                  fix: keep one of the two lines
                """),
    ]

    @Test("each fault names what, where, the line and the correction", arguments: cases)
    func report(_ item: Case) {
        #expect(Sample.reading(item.yaml).findings(.fault).report == item.report)
    }

    @Test("a weak key of the file, with the line that replaces it")
    func weakKey() {
        let reading = ConfigurationReading(
            of: ConfigurationSources(environment: ["LIVEKIT_CONFIG": "keys:\n  devkey: secret\n"]))
        #expect(
            reading.findings(.fault).report == """
                fault: the secret of key devkey is a well-known sample value
                  at LIVEKIT_CONFIG:2:11
                  2 |   devkey: …
                                ^
                  fix: devkey: …  # the line that `callbridge keys new --name devkey` prints
                """)
        #expect(
            Termination(findings: reading.findings)?.description
                == "error: the secret of key devkey is a well-known sample value — LIVEKIT_CONFIG:2:11 — "
                + "devkey: …  # the line that `callbridge keys new --name devkey` prints")
    }

    @Test("faults of a variable and of a flag are corrected in their own manner")
    func manners() {
        let reading = ConfigurationReading(
            of: ConfigurationSources(
                environment: ["LIVEKIT_PORT": "x", "LIVEKIT_KEYS": "name"],
                flags: [.init("--rtc-port", sets: "rtc.udp_port", to: "x")]))
        #expect(
            reading.findings(.fault).map { $0.correction ?? "" } == [
                "LIVEKIT_KEYS=\"NAME: …\"", "LIVEKIT_PORT=7880", "--rtc-port 7882",
            ])
    }

    @Test("all faults come out together, in the order of the text, and the last line counts them")
    func together() {
        let reading = Sample.reading(
            "room:\n  max_participants: many\nport: 0\naudio: {active_level: 200}\nlimit: {max_rooms: 0}\n")
        #expect(
            reading.findings(.fault).map(\.origin.description) == [
                "LIVEKIT_CONFIG:2:21", "LIVEKIT_CONFIG:3:7", "LIVEKIT_CONFIG:4:23", "LIVEKIT_CONFIG:5:20",
            ])
        #expect(reading.configuration == nil)
        let last = Termination(findings: reading.findings)?.description ?? ""
        #expect(
            last.hasPrefix(
                "error: room.max_participants must be a whole number from 0 to 100000, not \"many\" (and 3 more, listed above) — "
            ))
        #expect(!last.contains("\n"))
    }

    @Test("unknown keys are warnings with the nearest valid name")
    func unknownKeys() {
        let reading = Sample.reading(
            "prot: 7881\nrtc:\n  udp_prt: 1\nudp_port: 7882\nloging: {level: debug}\nzzzzzz: 1\n")
        #expect(reading.findings(.fault).isEmpty)
        #expect(
            reading.findings(.warning).map { "\($0.problem) | \($0.correction ?? "")" } == [
                "unknown key prot, did you mean port? | port: 7881",
                "unknown key rtc.udp_prt, did you mean rtc.udp_port? | rtc:\n  udp_port: …",
                "unknown key udp_port, did you mean rtc.udp_port? | rtc:\n  udp_port: …",
                "unknown key loging, did you mean logging? | logging: …",
                "unknown key zzzzzz, no valid key is near it | remove it; `callbridge config print` lists every key",
            ])
    }

    @Test("a file that cannot be read is one fault, not also all that it may have held")
    func unreadable() throws {
        let directory = try TemporaryDirectory()
        for (path, problem) in [
            (directory.path + "/none.yaml", "there is no such file"), (directory.path, "this is not a file"),
            (try directory.write("a: [", to: "cut.yaml"), "not valid YAML: did not find expected node content"),
        ] {
            let faults = ConfigurationReading(of: ConfigurationSources(file: path)).findings(.fault)
            #expect(faults.map(\.problem) == [problem])
        }
    }

    @Test("text that is not UTF-8 is refused with its line")
    func notUTF8() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("port: 1\nregion: ?\n", to: "latin.yaml")
        var bytes = Array("port: 1\nregion: ".utf8)
        bytes += [0xE9, 0x0A]
        try writeBytes(bytes, to: path)
        let faults = ConfigurationReading(of: ConfigurationSources(file: path)).findings(.fault)
        #expect(faults.map(\.origin.description) == ["\(path):2:1"])
    }

    @Test("registration trouble has its own exit code")
    func registrationStatus() {
        let reading = Sample.reading(
            """
            matrix:
              homeserver_url: http://127.0.0.1:8008
              server_name: example.org
              livekit_service_url: https://call.example.org
              registration: /nonexistent/registration.yaml
            """)
        #expect(Termination(findings: reading.findings)?.status == .registration)
    }

    static let everything = """
        keys: {APIa: \(Sample.secret)}
        rtc:
          node_ip: [192.0.2.1]
          turn_servers:
            - {host: t, secret: "x"}
        room:
          enabled_codecs: [{mime: video/VP8, fmtp_line: "a=b"}]
        x: &x {a: 1}
        y: *x
        text: |
          lines
        matrix:
          server_name: 'example.org'
        """

    @Test("a text cut anywhere is read or refused, never trapped")
    func truncated() {
        let bytes = Array(Self.everything.utf8)
        for length in 0...bytes.count {
            let text = String(decoding: bytes.prefix(length), as: UTF8.self)
            _ = ConfigurationReading(
                of: ConfigurationSources(environment: ["LIVEKIT_CONFIG": text, "LIVEKIT_KEYS": text]))
        }
    }

    @Test("a text with any byte replaced is read or refused, never trapped", arguments: Array(":{[\"'\t\n&*|".utf8))
    func replaced(byte: UInt8) {
        for index in Self.everything.utf8.indices {
            var bytes = Array(Self.everything.utf8)
            bytes[Self.everything.utf8.distance(from: Self.everything.startIndex, to: index)] = byte
            _ = try? YAMLText(reading: String(decoding: bytes, as: UTF8.self))
        }
    }
}
