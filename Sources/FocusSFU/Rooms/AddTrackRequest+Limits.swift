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
        guard simulcastCodecs.count <= Self.maximumCodecs,
            max(audioFeatures.count, packetTrailerFeatures.count) <= LiveKitUpdateLocalAudioTrack.maximumFeatures
        else { return false }
        let layerLists = [layers] + simulcastCodecs.map(\.layers)
        guard layerLists.allSatisfy({ $0.count <= Self.maximumLayers }) else { return false }
        let texts =
            [cid, name, stream] + simulcastCodecs.flatMap { [$0.codec, $0.cid] } + layerLists.joined().map(\.rid)
        return texts.allSatisfy { $0.utf8.count <= Self.maximumTextBytes }
    }
}

extension LiveKitUpdateLocalAudioTrack {
    static let maximumFeatures = 16

    var isWithinLimits: Bool { features.count <= Self.maximumFeatures }
}
