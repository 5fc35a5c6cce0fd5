// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FoundationEssentials
import Testing

@testable import FocusSFU

@Suite("The video grant")
struct VideoGrantTests {
    private func grant(_ json: String) throws -> VideoGrant {
        try JSONDecoder().decode(VideoGrant.self, from: Data(json.utf8))
    }

    @Test("without claims one may publish and subscribe, and nothing else")
    func defaults() throws {
        let grant = try grant("{}")
        #expect(grant.mayPublish)
        #expect(grant.maySubscribe)
        #expect(grant.mayPublishData)
        #expect(!grant.mayUpdateOwnMetadata)
        #expect(!grant.maySubscribeMetrics)
        #expect(!grant.mayManageAgentSession)
        #expect(!grant.roomJoin)
        #expect(!grant.roomAdmin)
        #expect(grant == VideoGrant())
    }

    @Test("publishing data follows publishing unless it is set")
    func publishData() throws {
        #expect(try !grant(#"{"canPublish":false}"#).mayPublishData)
        #expect(try grant(#"{"canPublish":false,"canPublishData":true}"#).mayPublishData)
        #expect(try !grant(#"{"canPublish":true,"canPublishData":false}"#).mayPublishData)
    }

    @Test("sources limit what may be published")
    func sources() throws {
        let grant = try grant(#"{"canPublishSources":["camera","screen_share"]}"#)
        #expect(grant.mayPublish(source: "camera"))
        #expect(grant.mayPublish(source: "SCREEN_SHARE"))
        #expect(!grant.mayPublish(source: "microphone"))
        #expect(VideoGrant().mayPublish(source: "microphone"))
        #expect(try !self.grant(#"{"canPublish":false}"#).mayPublish(source: "microphone"))
    }

    @Test("administration is of the named room only")
    func administration() throws {
        #expect(try grant(#"{"roomAdmin":true,"room":"a"}"#).mayAdminister(room: "a"))
        #expect(try !grant(#"{"roomAdmin":true,"room":"a"}"#).mayAdminister(room: "b"))
        #expect(try !grant(#"{"roomAdmin":true}"#).mayAdminister(room: ""))
        #expect(try !grant(#"{"room":"a"}"#).mayAdminister(room: "a"))
    }

    @Test("null and unknown keys count as absent")
    func tolerance() throws {
        #expect(try grant(#"{"room":null,"canPublish":null,"somethingNew":{"a":1}}"#) == VideoGrant())
    }

    @Test(
        "a value of another type is refused",
        arguments: [#"{"roomJoin":"true"}"#, #"{"room":1}"#, #"{"canPublish":1}"#])
    func types(json: String) {
        #expect(throws: DecodingError.self) { try grant(json) }
    }

    @Test("false is written where it differs from absence")
    func encoding() throws {
        var grant = VideoGrant()
        grant.roomJoin = true
        grant.canPublish = false
        let json = try JSONEncoder().encode(grant)
        #expect(try JSONDecoder().decode([String: Bool].self, from: json) == ["roomJoin": true, "canPublish": false])
        #expect(try JSONDecoder().decode(VideoGrant.self, from: json) == grant)
    }
}
