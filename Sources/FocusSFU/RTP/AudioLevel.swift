// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The level of the sound in a packet, told in the clear by its sender. RFC 6464 §3.
///
///     |V|    level    |
package struct AudioLevel: Equatable, Sendable {
    /// The sender believes that somebody speaks.
    package let hasVoice: Bool
    /// Attenuation in dB: 0 is the loudest, 127 silence (level in −dBov).
    package let attenuation: UInt8

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        guard let byte = value.first else { throw .truncated(needed: 1, available: 0) }
        self.init(hasVoice: byte & 0x80 != 0, attenuation: byte & 0x7F)
    }

    /// `attenuation` is 0 to 127; the eighth bit is dropped.
    package init(hasVoice: Bool, attenuation: UInt8) {
        self.hasVoice = hasVoice
        self.attenuation = attenuation & 0x7F
    }

    package var byte: UInt8 { (hasVoice ? 0x80 : 0) | attenuation }
}
