// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import MatrixBridge

@Suite("Configuration: the listing")
struct ConfigurationListingTests {
    @Test("values stand below their sections with comment and origin, and the text is YAML")
    func shape() throws {
        let listing = ConfigurationListing(of: Sample.reading("rtc:\n  pli_throttle: {low_quality: 250ms}\n").effective)
        #expect(
            listing.text.contains(
                """
                  pli_throttle:
                    # least time between key frame requests, low layer
                    low_quality: 250ms  # from LIVEKIT_CONFIG:2:31

                """))
        #expect(listing.text.contains("port: 7880  # from default\n"))
        let root = try YAMLText(reading: listing.text).root
        #expect(root["rtc"]?["udp_port"]?.scalar == "7882")
        #expect(root["keys"]?["APIgood"]?.scalar?.hasPrefix("4Q… (sha256 ") == true)
    }

    @Test("every key that has an effect is listed, in one map without repetition")
    func complete() {
        let effective = Sample.reading("").effective.map(\.path)
        #expect(Set(effective).count == effective.count)
        for key in ConfigurationKeys.all where key.use == .used && key.path != "prometheus_port" {
            #expect(effective.contains(key.path), "\(key.path)")
        }
    }

    @Test(
        "texts are quoted where YAML would read something else",
        arguments: [
            ("plain", "plain"), ("a.b-c/d", "a.b-c/d"), ("1", "\"1\""), ("true", "\"true\""), ("", "\"\""),
            ("a: b", "\"a: b\""), ("\"\\\n\u{1}", "\"\\\"\\\\\\n\\x01\""), ("*", "\"*\""),
        ])
    func quoting(text: String, flow: String) throws {
        #expect(FlowText.scalar(text) == flow)
        #expect(try YAMLText(reading: "k: " + flow).root["k"]?.scalar == text)
    }
}
