// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Rules and limits of the configuration")
struct RoomRuleConfigurationTests {
    private func reading(_ matrix: String) throws -> ConfigurationReading {
        let directory = try TemporaryDirectory()
        let file = try directory.write(RegistrationTests.pushed().yaml, to: "registration.yaml")
        return Sample.reading(
            """
            matrix:
              homeserver_url: http://127.0.0.1:8008
              server_name: example.org
              registration: \(file)
              livekit_service_url: https://call.example.org
              \(matrix)

            """)
    }

    @Test("rules in their order, with what they leave out from matrix.levels, and printed as they are")
    func rules() throws {
        let reading = try reading(
            ##"""
            levels: {subscribe: 1}
              rooms:
                - {room: "#hall:example.org", levels: {publish: 50, join: any}, max_participants: 200}
                - {room: "!quiet:example.org", calls: false}
                - {room: "!*:example.org", users: ["@*:example.org", "@guest:other.test"]}
            """##)
        let matrix = try #require(reading.configuration?.matrix, "\(reading.findings.report)")
        #expect(matrix.rooms.map(\.place.description) == ["#hall:example.org", "!quiet:example.org", "!*:example.org"])
        #expect(matrix.rooms[0].thresholds.publish == .level(50))
        #expect(matrix.rooms[0].thresholds.join == .any)
        #expect(matrix.rooms[0].thresholds.subscribe == .level(1))
        #expect(matrix.rooms[0].maximumParticipants == 200)
        #expect(!matrix.rooms[1].allowsCalls)
        #expect(matrix.rooms[2].users?.map(\.text) == ["@*:example.org", "@guest:other.test"])
        #expect(
            reading.effective("matrix.rooms")?.text
                == ##"[{room: "#hall:example.org", levels: {join: "any", publish: "50"}, max_participants: 200}, "##
                + ##"{room: "!quiet:example.org", calls: false}, "##
                + ##"{room: "!*:example.org", users: ["@*:example.org", "@guest:other.test"]}]"##)
    }

    @Test(
        "faults",
        arguments: [
            "{}", "[text]", "[{calls: false}]", "[{room: hall}]", ##"[{room: "#*:example.org"}]"##,
            #"[{room: "!r", call: false}]"#, #"[{room: "!r", calls: sometimes}]"#, #"[{room: "!r", users: []}]"#,
            #"[{room: "!r", users: [alice]}]"#, #"[{room: "!r", users: "@a:b"}]"#, #"[{room: "!r", levels: 50}]"#,
            #"[{room: "!r", levels: {speak: 50}}]"#, #"[{room: "!r", levels: {join: high}}]"#,
            #"[{room: "!r", max_participants: -1}]"#, #"[{room: "!r", max_participants: many}]"#,
        ])
    func faults(rules: String) throws {
        let reading = try reading("rooms: \(rules)")
        #expect(reading.configuration == nil)
        #expect(reading.findings(.fault).allSatisfy { $0.problem.hasPrefix("matrix.rooms") })
    }

    @Test("limits, with built-in values that are those of the policy")
    func limits() throws {
        let standard = try #require(try reading("admins: []").configuration?.matrix)
        #expect(standard.limits == AccessLimits())
        let changed = try #require(
            try reading("limits: {calls_per_device: 1, tokens_per_room: 600}").configuration?.matrix)
        #expect(changed.limits.callsPerDevice == 1)
        #expect(changed.limits.tokensPerRoom == 600)
        #expect(try reading("limits: {calls_per_user: -1}").configuration == nil)
    }
}
