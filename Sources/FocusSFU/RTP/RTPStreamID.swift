// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The `rid` of the encoding a packet belongs to. RFC 8852 §3.1.
///
/// URI `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`.
package struct RTPStreamID: Hashable, Sendable {
    package let text: SDESText

    /// - Throws: ``RTPError/extensionValue`` when not 1 to 16 letters and digits.
    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        text = try SDESText(reading: value)
        guard text.isAlphanumeric else { throw .extensionValue }
    }

    /// Nil when not 1 to 16 letters and digits.
    package init?(_ text: String) {
        guard let text = SDESText(text), text.isAlphanumeric else { return nil }
        self.text = text
    }
}
