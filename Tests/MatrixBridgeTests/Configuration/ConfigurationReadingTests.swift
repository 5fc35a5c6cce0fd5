// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@testable import MatrixBridge

@Suite("Configuration: sources and precedence")
struct ConfigurationReadingTests {
    @Test("nothing but a key gives the built-in values")
    func builtIn() throws {
        let configuration = try #require(Sample.reading("").configuration)
        #expect(configuration.server.port == 7880)
        #expect(configuration.server.bindAddresses.isEmpty)
        #expect(configuration.server.prometheusPort == nil)
        #expect(configuration.rtc.udpPorts == 7882...7882)
        #expect(configuration.rtc.keyFrameThrottle.low == .milliseconds(500))
        #expect(configuration.room.emptyTimeout == .seconds(300))
        #expect(configuration.room.enabledCodecs.map(\.mime).contains("video/VP8"))
        #expect(configuration.limit.requestBodyBytes == 10_485_760)
        #expect(configuration.logging.level == .info)
        #expect(configuration.matrix == nil)
    }

    @Test("every built-in value satisfies its own key")
    func builtInValues() {
        for key in ConfigurationKeys.all where key.kind != .tree && !key.defaultText.isEmpty {
            for text in [key.defaultText, key.developmentText].compactMap(\.self) {
                let reading = Sample.reading(
                    "", environment: [EnvironmentNames.prefixes[0] + EnvironmentNames.suffix(of: key.path): text])
                #expect(!reading.findings(.fault).contains { $0.problem.hasPrefix(key.path) }, "\(key.path)")
            }
        }
    }

    @Test("--dev is devkey and secret on loopback")
    func development() throws {
        let reading = Sample.reading("matrix: {server_name: example.org}", isDevelopment: true)
        let configuration = try #require(reading.configuration)
        #expect(configuration.keys.pairs == [.development])
        #expect(configuration.server.bindAddresses == ["127.0.0.1", "::1"])
        #expect(configuration.rtc.enablesLoopbackCandidate)
        #expect(configuration.matrix == nil)
        #expect(try configuration.keys.keySet()["devkey"] != nil)
        #expect(reading.effective("bind_addresses")?.origin == .development)
    }

    @Test("file < text in the environment < file of variables < variables < flags")
    func precedence() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("port: 1001\nregion: file\nroom:\n  max_participants: 1\n", to: "c.yaml")
        let variables = try directory.write(
            "# note\nLIVEKIT_PORT=1003\nLIVEKIT_LOGGING_LEVEL=debug\nNODE_IP=192.0.2.1\n", to: "env")
        var sources = ConfigurationSources(
            file: file, environmentFile: variables, environment: [:],
            flags: [.init("--keys", sets: "keys", to: Sample.keys)])
        func port() -> (Int?, String?) {
            let reading = ConfigurationReading(of: sources)
            return (reading.configuration?.server.port, reading.effective("port")?.origin.description)
        }
        #expect(port() == (1003, "\(variables):2:1 (LIVEKIT_PORT)"))
        sources.environmentFile = nil
        #expect(port() == (1001, "\(file):1:7"))
        sources.environment["LIVEKIT_CONFIG"] = "port: 1002"
        #expect(port() == (1002, "LIVEKIT_CONFIG:1:7"))
        sources.environmentFile = variables
        #expect(port() == (1003, "\(variables):2:1 (LIVEKIT_PORT)"))
        sources.environment["LIVEKIT_PORT"] = "1004"
        #expect(port() == (1004, "environment variable LIVEKIT_PORT"))
        sources.environment["CALLBRIDGE_PORT"] = "1005"
        #expect(port() == (1005, "environment variable CALLBRIDGE_PORT"))
        sources.flags.append(.init("--port", sets: "port", to: "1006"))
        #expect(port() == (1006, "flag --port"))
        let reading = ConfigurationReading(of: sources)
        #expect(reading.configuration?.logging.level == .debug)
        #expect(reading.configuration?.rtc.nodeAddresses == ["192.0.2.1"])
        #expect(reading.configuration?.room.maxParticipants == 1)
        #expect(
            reading.findings(.warning).map(\.problem) == [
                "CALLBRIDGE_PORT and LIVEKIT_PORT both set port and differ; CALLBRIDGE_PORT wins"
            ])
    }

    @Test("generated and short names of variables")
    func variableNames() {
        #expect(
            EnvironmentNames.names(of: "rtc.node_ip") == ["CALLBRIDGE_RTC_NODE_IP", "LIVEKIT_RTC_NODE_IP", "NODE_IP"])
        #expect(EnvironmentNames.names(of: "region").contains("LIVEKIT_REGION"))
        #expect(EnvironmentNames.names(of: "keys").contains("LIVEKIT_KEYS"))
        // The older name of a key shares the variable of the newer one, which wins.
        let all = ConfigurationKeys.all.filter { $0.path != "prometheus_port" }.map {
            EnvironmentNames.suffix(of: $0.path)
        }
        #expect(Set(all).count == all.count)
        #expect(Set(ConfigurationKeys.all.map(\.path)).count == ConfigurationKeys.all.count)
        for key in ConfigurationKeys.all { #expect(!ConfigurationKeys.sections.contains(key.path), "\(key.path)") }
    }

    @Test("variables set lists and structures")
    func structures() throws {
        let reading = Sample.reading(
            "",
            environment: [
                "LIVEKIT_BIND_ADDRESSES": "192.0.2.1, ::1", "LIVEKIT_RTC_STUN_SERVERS": "[\"a:1\", \"b:2\"]",
                "UDP_PORT": "7900-7903",
                "LIVEKIT_RTC_TURN_SERVERS": "[{host: t.example, protocol: tls, secret: \(Sample.secret), ttl: 60}]",
                "LIVEKIT_REDIS_ADDRESS": "localhost:6379", "REDIS_HOST": "localhost", "LIVEKIT_URL": "ws://x",
            ])
        let configuration = try #require(reading.configuration)
        #expect(configuration.server.bindAddresses == ["192.0.2.1", "::1"])
        #expect(configuration.rtc.stunServers == ["a:1", "b:2"])
        #expect(configuration.rtc.udpPorts == 7900...7903)
        #expect(configuration.rtc.workerCount == 4)
        #expect(
            configuration.turn.servers == [
                TURNConfiguration.Server(
                    host: "t.example", port: 3478, transport: .tls,
                    credential: .shared(Secret(Sample.secret), lifetime: .seconds(60)))
            ])
        #expect(reading.findings.allSatisfy { $0.severity == .note })
        #expect(reading.findings.contains { $0.problem.contains("LIVEKIT_REDIS_ADDRESS has no effect") })
        #expect(reading.findings.contains { $0.problem.contains("redis has no effect") })
    }

    @Test("misspelt variables are warnings")
    func misspeltVariables() {
        let reading = Sample.reading("", environment: ["CALLBRIDGE_RTC_UDP_PROT": "1", "LIVEKIT_WHATEVER_ELSE": "1"])
        #expect(
            reading.findings(.warning).map(\.problem) == [
                "unknown variable CALLBRIDGE_RTC_UDP_PROT, did you mean CALLBRIDGE_RTC_UDP_PORT?",
                "unknown variable LIVEKIT_WHATEVER_ELSE",
            ])
    }

    @Test(
        "times",
        arguments: [
            ("300", true, Duration.seconds(300)), ("5m", true, .seconds(300)), ("1h30m", false, .seconds(5400)),
            ("1.5s", false, .milliseconds(1500)), ("0", false, .zero), ("500", false, nil), ("-1s", true, nil),
            ("1x", true, nil), ("nan", true, nil), ("1e300", true, nil), ("", true, nil),
            ("24h", false, .seconds(86_400)),
        ])
    func times(text: String, bareSeconds: Bool, duration: Duration?) {
        #expect(ConfigurationReader.duration(text, bareSeconds: bareSeconds) == duration)
    }

    @Test(
        "URLs",
        arguments: [
            ("https://a.example", "https://a.example"), ("https://a.example/x/", "https://a.example/x"),
            ("http://[::1]:8008", "http://[::1]:8008"), ("ftp://a", nil), ("https://", nil), ("a.example", nil),
            ("https://user:pw@a", nil), ("https://a?x=1", nil), ("https://a b", nil),
        ])
    func urls(text: String, url: String?) {
        #expect(ConfigurationReader.url(text, schemes: ["https", "http"]) == url)
    }

    @Test("key files are read, and refused when others can read them")
    func keyFile() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("# ours\n\(Sample.keys)\n", to: "keys")
        func reading() -> ConfigurationReading {
            ConfigurationReading(of: ConfigurationSources(environment: ["LIVEKIT_KEY_FILE": path]))
        }
        #expect(reading().configuration?.keys.pairs.map(\.name) == ["APIgood"])
        _ = try directory.write(Sample.keys, to: "keys", mode: 0o644)
        let fault = try #require(reading().findings(.fault).first)
        #expect(fault.problem == "the key file is open to every user of the machine (mode 644)")
        #expect(fault.correction == "chmod 600 \(path)")
    }

    @Test("a matrix section that lacks something names each part")
    func incompleteMatrix() {
        let reading = Sample.reading("matrix:\n  homeserver_url: http://127.0.0.1:8008\n")
        #expect(
            reading.findings(.fault).map(\.problem) == [
                "matrix.registration is missing",
                "matrix.server_name is missing (domain part of local user ids)",
                "matrix.livekit_service_url is missing (public URL of the token service, as clients reach it)",
            ])
    }

    @Test("a matrix section with tokens is enough, and fills in what follows from it")
    func matrix() throws {
        let reading = Sample.reading(
            """
            matrix:
              homeserver_url: http://127.0.0.1:8008/
              server_name: example.org
              appservice_url: http://127.0.0.1:7880
              as_token: one-\(Sample.secret)
              hs_token: two-\(Sample.secret)
              livekit_service_url: https://call.example.org/x
            """)
        let matrix = try #require(reading.configuration?.matrix)
        #expect(matrix.homeserverURL == "http://127.0.0.1:8008")
        #expect(matrix.websocketURL == "wss://call.example.org/x")
        #expect(matrix.fullAccessHomeservers == ["example.org"])
        #expect(matrix.membershipPolicy == .auto)
        #expect(matrix.registrationID == "callbridge")
    }
}
