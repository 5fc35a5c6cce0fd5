// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Protects what is stored: 32 bytes for libolm's pickles, of which the seeds of cross-signing keys use a derived key.
package struct PickleKey: Sendable {
    package static let byteCount = 32

    let bytes: SecretBytes

    /// Nil for another number of bytes than ``byteCount``.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = SecretBytes(copying: bytes)
    }

    /// Random bytes for a new key; the caller wipes them.
    package static func randomBytes() throws(OlmFault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        guard COpenSSLShims_random(&bytes, Int32(byteCount)) == 1 else { throw .noRandomness }
        return bytes
    }

    private static let nonceByteCount = 12
    private static let tagByteCount = 16

    /// AES-128-GCM under a key derived with HKDF-SHA-256 and a random nonce, which comes first.
    func seal(_ secret: SecretBytes) throws(OlmFault) -> [UInt8] {
        var nonce = [UInt8](repeating: 0, count: Self.nonceByteCount)
        var sealed = [UInt8](repeating: 0, count: secret.count + Self.tagByteCount)
        guard COpenSSLShims_random(&nonce, Int32(nonce.count)) == 1, let key = sealingKey() else { throw .noRandomness }
        let isSealed = key.withBytes { key in
            secret.withBytes { secret in
                COpenSSLShims_aes128_gcm_seal(
                    key.baseAddress, nonce, nil, 0, secret.baseAddress, Int32(secret.count), &sealed) == 1
            }
        }
        guard isSealed else { throw OlmFault(code: "SEALING_FAILED") }
        return nonce + sealed
    }

    /// Nil when the bytes were not sealed with this key.
    func open(_ sealed: [UInt8]) -> SecretBytes? {
        let length = sealed.count - Self.nonceByteCount - Self.tagByteCount
        guard length > 0, let key = sealingKey() else { return nil }
        return SecretBytes(count: length) { buffer in
            key.withBytes { key in
                sealed.withUnsafeBytes { sealed in
                    COpenSSLShims_aes128_gcm_open(
                        key.baseAddress, sealed.baseAddress, nil, 0,
                        sealed.baseAddress.map { $0 + Self.nonceByteCount }, Int32(length), buffer.baseAddress) == 1
                }
            }
        }
    }

    private func sealingKey() -> SecretBytes? {
        let info = Array("callbridge seeds".utf8)
        return SecretBytes(count: 16) { buffer in
            bytes.withBytes { bytes in
                COpenSSLShims_hkdf_sha256(
                    bytes.baseAddress, Int32(bytes.count), "", 0, info, Int32(info.count), buffer.baseAddress,
                    buffer.count) == 1
            }
        }
    }
}
