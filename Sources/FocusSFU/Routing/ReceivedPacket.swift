// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One media packet in the clear on its way from a publisher to the subscribers, valid for the current read batch.
package struct ReceivedPacket {
    /// Extended sequence number in the source stream.
    package var extended: Int64
    package var timestamp: UInt32
    package var marker: Bool
    /// Begins a picture that decodes by itself; always false for audio.
    package var isKeyFrame: Bool
    /// Begins such a picture or goes on with it: worth keeping when not everything can be sent.
    package var isOfKeyFrame: Bool
    package var layer: Int8
    /// The dependency descriptor extension as the publisher wrote it; empty when absent.
    package var descriptor: UnsafeRawBufferPointer
    package var payload: UnsafeRawBufferPointer
}
