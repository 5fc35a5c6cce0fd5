// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// From which sources a participant may publish.
extension LiveKitParticipantPermission {
    /// Whether a track may be published. Where sources are named, it must come from one of them and be of its kind, so
    /// that a camera cannot pass for a microphone. Sources nobody knows are named without effect.
    func allowsPublishing(_ type: LiveKitTrackType, from source: LiveKitTrackSource) -> Bool {
        guard canPublish else { return false }
        guard !canPublishSources.isEmpty else { return true }
        return source.trackType == type && canPublishSources.contains(source)
    }
}

extension LiveKitTrackSource {
    /// What comes from this source; nil where that is not known.
    var trackType: LiveKitTrackType? {
        switch self {
        case .camera, .screenShare: .video
        case .microphone, .screenShareAudio: .audio
        case .unknown, .UNRECOGNIZED: nil
        }
    }
}
