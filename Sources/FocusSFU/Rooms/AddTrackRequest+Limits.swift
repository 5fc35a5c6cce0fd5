// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What everybody in a room is told of a track is bounded: the publisher chooses it, and the others pay.
extension LiveKitAddTrackRequest {
    static let maximumTextBytes = 256
    /// A codec has at most three spatial layers.
    static let maximumLayers = 4
    static let maximumCodecs = 4

    var isWithinLimits: Bool {
        [cid, name, stream].allSatisfy { $0.utf8.count <= Self.maximumTextBytes }
            && Self.areWithinLimits(layers)
            && simulcastCodecs.count <= Self.maximumCodecs
            && simulcastCodecs.allSatisfy { codec in
                Self.areWithinLimits(codec.layers)
                    && [codec.codec, codec.cid].allSatisfy { $0.utf8.count <= Self.maximumTextBytes }
            }
            && audioFeatures.count <= LiveKitUpdateLocalAudioTrack.maximumFeatures
            && packetTrailerFeatures.count <= LiveKitUpdateLocalAudioTrack.maximumFeatures
    }

    private static func areWithinLimits(_ layers: [LiveKitVideoLayer]) -> Bool {
        layers.count <= maximumLayers && layers.allSatisfy { $0.rid.utf8.count <= maximumTextBytes }
    }
}

extension LiveKitUpdateLocalAudioTrack {
    static let maximumFeatures = 16

    var isWithinLimits: Bool { features.count <= Self.maximumFeatures }
}
