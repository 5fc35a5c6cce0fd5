// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CallEvents
import Testing

@testable import MatrixBridge

@Suite("Configuration of one-to-one calls")
struct OneToOneConfigurationTests {
    @Test("calls at a time and minutes, with built-in values that are those of the calls")
    func limits() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write(RegistrationTests.pushed().yaml, to: "registration.yaml")
        func reading(_ more: String) -> ConfigurationReading {
            Sample.reading(
                """
                matrix:
                  homeserver_url: http://127.0.0.1:8008
                  server_name: example.org
                  registration: \(file)
                  livekit_service_url: https://call.example.org
                  \(more)

                """)
        }
        #expect(try #require(reading("admins: []").configuration?.matrix).oneToOne == LegacyCallLimits())
        let changed = try #require(reading("one_to_one_calls: 0\n  one_to_one_minutes: 2").configuration?.matrix)
        #expect(changed.oneToOne.maximumCalls == 0)
        #expect(changed.oneToOne.maximumDuration == 120_000)
        #expect(reading("one_to_one_minutes: 0").configuration == nil)
    }
}
