// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Clients on LiveKit's Rust core give the video codecs of all sections another parameter in the offer of a new track.
/// libwebrtc then makes its receiving streams anew, and when a packet comes in between, it takes the stream for one that
/// nobody announced: decoded to the end, and never shown. So such a client gets no pictures between the answer to its
/// AddTrack and its offer; sound goes on.
extension Participant {
    /// An offer that has not come by then is not waited for.
    private static let heldPicturesMilliseconds: UInt64 = 2_000

    struct HeldPictures {
        var until: MonotonicTime
        /// The track that was asked for last.
        let sid: String
    }

    var holdsPictures: Bool { heldPictures != nil }

    /// Before the client is told that it may offer the track.
    func holdPictures(whileOffering track: PublishedTrack) {
        guard track.isVideo, usesSinglePeerConnection, client.hasRustCore else { return }
        heldPictures = HeldPictures(
            until: room.plane.now.advanced(byMilliseconds: Self.heldPicturesMilliseconds), sid: track.sid)
        updatePictures()
    }

    /// Once the track was offered, or too late.
    func releasePictures(at now: MonotonicTime) {
        guard let held = heldPictures,
            now >= held.until || !publications.pending.contains(where: { $0.sid == held.sid })
        else { return }
        heldPictures = nil
        updatePictures()
    }

    private func updatePictures() {
        for downTrack in subscriptions.downTracks where downTrack.track.isVideo { downTrack.updateFlow() }
    }
}

extension LiveKitClientInfo {
    /// Built on LiveKit's Rust SDK and the libwebrtc in it.
    fileprivate var hasRustCore: Bool {
        switch sdk {
        case .rust, .python, .node, .cpp, .unity: true
        default: false
        }
    }
}
