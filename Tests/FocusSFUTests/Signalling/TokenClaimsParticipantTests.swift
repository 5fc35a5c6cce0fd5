// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("What a token means for its participant")
struct TokenClaimsParticipantTests {
    @Test("a grant that only says join may publish, subscribe and send data")
    func standard() {
        var claims = TokenClaims()
        claims.video = VideoGrant()
        let permission = claims.participantPermission
        #expect(permission.canPublish)
        #expect(permission.canSubscribe)
        #expect(permission.canPublishData)
        #expect(!permission.canUpdateMetadata)
        #expect(!permission.hidden)
        #expect(!permission.recorder)
        #expect(permission.canPublishSources.isEmpty)
    }

    @Test("a grant that may not publish may not send data either, unless it says so")
    func data() {
        var claims = TokenClaims()
        var grant = VideoGrant()
        grant.canPublish = false
        claims.video = grant
        #expect(!claims.participantPermission.canPublishData)
        grant.canPublishData = true
        claims.video = grant
        #expect(claims.participantPermission.canPublishData)
    }

    @Test(
        "kinds by name",
        arguments: zip(
            ["", "standard", "ingress", "egress", "sip", "agent", "connector", "bridge", "AGENT"],
            [
                LiveKitParticipantInfo.Kind.standard, .standard, .ingress, .egress, .sip, .agent, .connector, .bridge,
                .standard,
            ]))
    func kinds(name: String, kind: LiveKitParticipantInfo.Kind) {
        var claims = TokenClaims()
        claims.kind = name
        #expect(claims.participantKind == kind)
    }

    @Test("sources in any case; unknown ones allow nothing, and least of all everything")
    func sources() {
        var claims = TokenClaims()
        var grant = VideoGrant()
        grant.canPublishSources = ["Camera", "microphone", "SCREEN_SHARE", "screen_share_audio", "smell"]
        claims.video = grant
        #expect(
            claims.participantPermission.canPublishSources
                == [.camera, .microphone, .screenShare, .screenShareAudio, .unknown])

        grant.canPublishSources = ["microfone"]
        claims.video = grant
        let permission = claims.participantPermission
        #expect(!permission.allowsPublishing(.audio, from: .microphone))
        #expect(!permission.allowsPublishing(.audio, from: .unknown))
        // As the refreshed token says it.
        claims.apply(permission)
        #expect(claims.participantPermission == permission)
    }

    @Test("where sources are named, a track must be of its source's kind")
    func kindsOfSources() {
        var permission = LiveKitParticipantPermission()
        permission.canPublish = true
        #expect(permission.allowsPublishing(.video, from: .microphone))
        permission.canPublishSources = [.microphone, .screenShare]
        #expect(permission.allowsPublishing(.audio, from: .microphone))
        #expect(permission.allowsPublishing(.video, from: .screenShare))
        #expect(!permission.allowsPublishing(.video, from: .microphone))
        #expect(!permission.allowsPublishing(.audio, from: .screenShare))
        #expect(!permission.allowsPublishing(.video, from: .camera))
        permission.canPublish = false
        #expect(!permission.allowsPublishing(.audio, from: .microphone))
    }

    @Test("a permission applied to claims reads back the same")
    func roundTrip() {
        var permission = LiveKitParticipantPermission()
        permission.canPublishData = true
        permission.canPublishSources = [.camera, .screenShare]
        permission.canUpdateMetadata = true
        permission.hidden = true
        permission.recorder = true
        permission.agent = true
        permission.canSubscribeMetrics = true
        permission.canManageAgentSession = true
        var claims = TokenClaims()
        var grant = VideoGrant()
        grant.room = "kept"
        claims.video = grant
        claims.apply(permission)
        #expect(claims.participantPermission == permission)
        #expect(claims.grant.room == "kept")
    }
}
