// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The `rid` of the encoding that a redundancy packet repairs. RFC 8852 §3.2.
///
/// URI `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`. A packet has this or an ``RTPStreamID``.
package struct RepairedRTPStreamID: Hashable, Sendable {
    /// The encoding that is repaired.
    package let stream: RTPStreamID

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        stream = try RTPStreamID(reading: value)
    }
}
