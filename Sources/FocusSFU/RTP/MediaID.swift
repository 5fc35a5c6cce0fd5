// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The `mid` of the media section a packet belongs to. RFC 9143 §15.2.
///
/// URI `urn:ietf:params:rtp-hdrext:sdes:mid`.
package struct MediaID: Hashable, Sendable {
    package let text: SDESText

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        text = try SDESText(reading: value)
    }

    /// Nil when `text` is not 1 to 16 bytes of printable ASCII.
    package init?(_ text: String) {
        guard let text = SDESText(text) else { return nil }
        self.text = text
    }
}
