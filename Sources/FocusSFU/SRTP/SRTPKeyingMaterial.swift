// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// What the DTLS exporter gave for SRTP, erased when the last owner lets go (RFC 5764 §4.2).
///
///     | client key (16) | server key (16) | client salt | server salt |
package final class SRTPKeyingMaterial {
    package let profile: SRTPProfile
    private let bytes: UnsafeMutableRawBufferPointer

    /// Makes room and has it filled.
    /// - Parameter fill: writes all `profile.keyingMaterialLength` bytes.
    package init<Failure: Error>(
        profile: SRTPProfile,
        fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        self.profile = profile
        bytes = .allocate(byteCount: profile.keyingMaterialLength, alignment: 8)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        try fill(bytes)
    }

    deinit {
        OPENSSL_cleanse(bytes.baseAddress, bytes.count)
        bytes.deallocate()
    }

    /// The master key that packets written by `role` are protected with. Valid while this object lives.
    func masterKey(writtenBy role: DTLSRole) -> UnsafeRawBufferPointer {
        slice(from: role == .client ? 0 : SRTPProfile.keyLength, count: SRTPProfile.keyLength)
    }

    /// The master salt that belongs to masterKey(writtenBy:).
    func masterSalt(writtenBy role: DTLSRole) -> UnsafeRawBufferPointer {
        let start = 2 * SRTPProfile.keyLength
        return slice(from: role == .client ? start : start + profile.saltLength, count: profile.saltLength)
    }

    private func slice(from start: Int, count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<start + count])
    }
}
