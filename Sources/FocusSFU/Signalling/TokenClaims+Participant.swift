// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a token's claims mean for the participant that joins with it.
extension TokenClaims {
    var participantKind: LiveKitParticipantInfo.Kind {
        switch kind {
        case "ingress": .ingress
        case "egress": .egress
        case "sip": .sip
        case "agent": .agent
        case "connector": .connector
        case "bridge": .bridge
        default: .standard
        }
    }

    var participantKindDetails: [LiveKitParticipantInfo.KindDetail] {
        kindDetails.prefix(16).compactMap { name in
            switch name {
            case "cloud_agent": .cloudAgent
            case "forwarded": .forwarded
            case "connector_whatsapp": .connectorWhatsapp
            case "connector_twilio": .connectorTwilio
            case "bridge_rtsp": .bridgeRtsp
            case "simulation": .simulation
            default: nil
            }
        }
    }

    var participantPermission: LiveKitParticipantPermission {
        var permission = LiveKitParticipantPermission()
        permission.canPublish = grant.mayPublish
        permission.canSubscribe = grant.maySubscribe
        permission.canPublishData = grant.mayPublishData
        permission.canPublishSources = grant.canPublishSources.map { LiveKitTrackSource(tokenName: $0) }
        permission.canUpdateMetadata = grant.mayUpdateOwnMetadata
        permission.canSubscribeMetrics = grant.maySubscribeMetrics
        permission.canManageAgentSession = grant.mayManageAgentSession
        permission.hidden = grant.hidden
        permission.recorder = grant.recorder
        permission.agent = grant.agent
        return permission
    }

    /// The reverse, for a token that carries a permission changed since.
    mutating func apply(_ permission: LiveKitParticipantPermission) {
        var grant = self.grant
        grant.canPublish = permission.canPublish
        grant.canSubscribe = permission.canSubscribe
        grant.canPublishData = permission.canPublishData
        grant.canPublishSources = permission.canPublishSources.map(\.tokenName)
        grant.canUpdateOwnMetadata = permission.canUpdateMetadata
        grant.canSubscribeMetrics = permission.canSubscribeMetrics
        grant.canManageAgentSession = permission.canManageAgentSession
        grant.hidden = permission.hidden
        grant.recorder = permission.recorder
        grant.agent = permission.agent
        video = grant
    }
}

extension LiveKitTrackSource {
    private static let tokenNames: KeyValuePairs<String, LiveKitTrackSource> = [
        "camera": .camera, "microphone": .microphone, "screen_share": .screenShare,
        "screen_share_audio": .screenShareAudio,
    ]

    /// As `canPublishSources` of a token spells it, in any case; a name that nobody knows is a source that nobody has,
    /// because none at all would allow every source.
    init(tokenName: String) {
        self = Self.tokenNames.first { $0.key == tokenName.lowercased() }?.value ?? .unknown
    }

    var tokenName: String {
        Self.tokenNames.first { $0.value == self }?.key ?? "unknown"
    }
}
