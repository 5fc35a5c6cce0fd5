// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Secrets are in no output")
struct SecrecyTests {
    /// Everything a start or a command may print about a reading.
    static func output(_ reading: ConfigurationReading) -> String {
        [
            reading.findings.report, Termination(findings: reading.findings)?.description ?? "",
            ConfigurationListing(of: reading.effective).text, String(reflecting: reading.configuration as Any),
            String(describing: reading.findings),
        ].joined(separator: "\n")
    }

    @Test("the listing of a stock configuration")
    func listing() {
        let output = Self.output(StockLiveKitTests.reading())
        #expect(!output.contains(Sample.secret))
        #expect(!output.contains(Sample.secret.dropFirst(2).prefix(8)))
        #expect(output.contains("sha256"))
    }

    static let hidden = "hunter2hunter2"

    @Test(
        "faults around a secret, wherever it stands",
        arguments: [
            "keys:\n  name: \(hidden)\n", "keys: \(hidden)\n", "keys: [\(hidden)]\n", "keys: {\(hidden)}\n",
            "keys:\n  - \(hidden)\n",
            "keys:\n  name: {deep: \(hidden)}\n", "keys:\n  name: \(hidden)\n  name: \(hidden)x\n",
            "kyes:\n  name: \(hidden)\n",
            "keys:\n\tname: \(hidden)\n", "keys: {name: \(hidden)\n", "keys: \"name: \(hidden)\n",
            "keys: name: \(hidden)\n",
            "redis: {password: \(hidden)\n", "prometheus: {pasword: \(hidden)}\n",
            "prometheus:\n  password: [\(hidden)]\n",
            "prometheus:\n  password: \(hidden)\n", "rtc:\n  turn_servers: [{host: a, secret: {x: \(hidden)}}]\n",
            "rtc:\n  turn_servers:\n    - {host: a, credential: \(hidden)}\n", "rtc:\n  turn_servers: \(hidden)\n",
            "rtc:\n  turn_servers:\n    - {host: a, secrt: \(hidden)}\n",
            "matrix: {as_token: \(hidden), hs_token: [\(hidden)]}\n",
            "matrix: {hs_tokne: \(hidden)}\n", "{port: x, keys: {name: \(hidden)}}\n", "a: \(hidden)\n",
            "as_token: \(hidden)\n",
        ])
    func faults(yaml: String) {
        let sources = ConfigurationSources(environment: ["LIVEKIT_CONFIG": yaml])
        #expect(!Self.output(ConfigurationReading(of: sources)).contains(Self.hidden))
    }

    @Test(
        "variables and flags",
        arguments: [
            hidden, "name: \(hidden)", "name=\(hidden),", "{name: \(hidden)", "{\"name\": [\"\(hidden)\"]}",
            "\"name: \(hidden)",
            ": \(hidden)", "two words: \(hidden)", "name: \(hidden)\nname: x\(hidden)",
        ])
    func variables(text: String) {
        for environment in [
            ["LIVEKIT_KEYS": text], ["CALLBRIDGE_MATRIX_AS_TOKEN": text], ["LIVEKIT_RTC_TURN_SERVERS": text],
            ["LIVEKIT_API_SECRET": text, "LIVEKIT_API_SECRT": text],
        ] {
            #expect(
                !Self.output(ConfigurationReading(of: ConfigurationSources(environment: environment))).contains(
                    Self.hidden))
        }
        let flags = ConfigurationSources(flags: [.init("--keys", sets: "keys", to: text)])
        #expect(!Self.output(ConfigurationReading(of: flags)).contains(Self.hidden))
    }

    @Test("key files and files of variables")
    func files() throws {
        let directory = try TemporaryDirectory()
        let keys = try directory.write("name: \(Self.hidden)\n\(Self.hidden)\n", to: "keys", mode: 0o644)
        let variables = try directory.write("LIVEKIT_KEYS=\"\(Self.hidden)\n", to: "env")
        let sources = ConfigurationSources(environmentFile: variables, environment: ["LIVEKIT_KEY_FILE": keys])
        #expect(!Self.output(ConfigurationReading(of: sources)).contains(Self.hidden))
    }

    @Test("a command line whose keys were not quoted")
    func commandLine() {
        let message = CallbridgeProcess.maskingKeys(
            of: ["serve", "--keys", "name:", Self.hidden, "--port", "1"], in: "Unexpected argument '\(Self.hidden)'")
        #expect(message == "Unexpected argument '…'")
    }
}
