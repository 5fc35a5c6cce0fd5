// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("What the homeserver must say")
struct HomeserverSetupTests {
    static let setup = HomeserverSetup(
        registrationFiles: ["/data/registration.yaml", "/data/delegated.yaml"],
        livekitServiceURL: "https://call.example.org/x", websocketURL: "wss://call.example.org/x",
        hasDelegatedRegistration: true)

    @Test("the lines for the homeserver are YAML with the transport and the registrations")
    func homeserver() throws {
        let root = try YAMLText(reading: Self.setup.homeserverYAML).root
        guard case .sequence(let transports) = root["matrix_rtc"]?["transports"]?.content,
            case .sequence(let files) = root["app_service_config_files"]?.content
        else {
            Issue.record("no lists")
            return
        }
        #expect(transports.first?["livekit_service_url"]?.scalar == "https://call.example.org/x")
        #expect(transports.first?["url"]?.scalar == "wss://call.example.org/x")
        #expect(files.compactMap(\.scalar) == Self.setup.registrationFiles)
        #expect(root["experimental_features"]?["msc4512_enabled"]?.scalar == "true")
    }

    @Test("without a delegated registration its features stay off")
    func withoutDelegation() throws {
        var setup = Self.setup
        setup.hasDelegatedRegistration = false
        let features = try YAMLText(reading: setup.homeserverYAML).root["experimental_features"]
        #expect(features?["msc4143_enabled"]?.scalar == "true")
        #expect(features?["msc4512_enabled"] == nil)
    }

    @Test("the well-known key is JSON with unescaped slashes")
    func wellKnown() throws {
        let root = try YAMLText(reading: Self.setup.wellKnownJSON).root
        guard case .sequence(let foci) = root["org.matrix.msc4143.rtc_foci"]?.content else {
            Issue.record("no list")
            return
        }
        #expect(foci.first?["type"]?.scalar == "livekit")
        #expect(!Self.setup.wellKnownJSON.contains("\\/"))
    }
}
