// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// `a=msid` (RFC 8830): which stream and track a section carries.
package struct MediaStreamIdentifier: Hashable, Sendable {
    /// `-` when the track belongs to no stream.
    package var stream: String
    /// Empty when the peer names only the stream.
    package var track: String

    package init(stream: String, track: String) {
        self.stream = stream
        self.track = track
    }
}

/// A flow identification group (RFC 4588 §8.1): a media stream and the one that repairs it.
package struct RepairPair: Hashable, Sendable {
    package var media: UInt32
    package var repair: UInt32

    package init(media: UInt32, repair: UInt32) {
        self.media = media
        self.repair = repair
    }
}
