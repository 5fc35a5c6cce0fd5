// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Why a media key could not be made.
package enum MediaKeyFault: Error, Equatable, Sendable {
    /// Not 16 to 64 bytes, or a passphrase of none or more than 1024.
    case length(Int)
    /// OpenSSL refused the derivation.
    case derivation
}

/// What participants of an encrypted call share to protect their frames: random bytes from a to-device message
/// (MSC4143), or a passphrase. Frames are encrypted with keys derived from it, as LiveKit's clients derive them:
///
/// | Material | Derivation of the AES-128-GCM key |
/// | --- | --- |
/// | bytes | HKDF-SHA-256 (RFC 5869), salt `LKFrameEncryptionKey`, info of 128 zero bytes |
/// | passphrase | PBKDF2 (RFC 8018) with HMAC-SHA-256, the same salt, 100 000 rounds |
///
/// The memory is overwritten when the last copy goes.
package struct MediaKey: Sendable {
    package static let byteCounts = 16...64

    enum Derivation {
        case hkdf
        case pbkdf2
    }

    private let material: SecretBytes
    let derivation: Derivation

    /// - Throws: ``MediaKeyFault/length(_:)`` outside ``byteCounts``.
    package init(bytes: [UInt8]) throws(MediaKeyFault) {
        guard Self.byteCounts.contains(bytes.count) else { throw .length(bytes.count) }
        material = SecretBytes(copying: bytes)
        derivation = .hkdf
    }

    /// A fresh key of 16 bytes, as many as deployed clients use.
    package init(using generator: inout some RandomNumberGenerator) {
        material = SecretBytes(count: Self.byteCounts.lowerBound, using: &generator)
        derivation = .hkdf
    }

    /// A key that people type. Deriving from it is slow on purpose.
    package init(passphrase: String) throws(MediaKeyFault) {
        let bytes = Array(passphrase.utf8)
        guard (1...1024).contains(bytes.count) else { throw .length(bytes.count) }
        material = SecretBytes(copying: bytes)
        derivation = .pbkdf2
    }

    private init(material: SecretBytes, derivation: Derivation) {
        self.material = material
        self.derivation = derivation
    }

    /// The bytes to send to others, valid during the call.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        material.withBytes(body)
    }

    /// The cipher for frames under this key.
    package func makeCipher() throws(MediaKeyFault) -> FrameCipher {
        FrameCipher(key: try derive(byteCount: FrameCipher.keyByteCount))
    }

    /// The next key of a sender that ratchets.
    ///
    /// NOTE: its first half is the present frame key, so whoever broke that one has the next; LiveKit does it so.
    /// We follow senders that do it and never do it ourselves.
    package func ratcheted() throws(MediaKeyFault) -> MediaKey {
        MediaKey(material: try derive(byteCount: 32), derivation: derivation)
    }

    private static let salt = Array("LKFrameEncryptionKey".utf8)
    private static let information = [UInt8](repeating: 0, count: 128)
    private static let rounds: Int32 = 100_000

    private func derive(byteCount: Int) throws(MediaKeyFault) -> SecretBytes {
        let derived = SecretBytes(count: byteCount) { output in
            material.withBytes { input in
                switch derivation {
                case .hkdf:
                    COpenSSLShims_hkdf_sha256(
                        input.baseAddress,
                        Int32(input.count),
                        Self.salt,
                        Int32(Self.salt.count),
                        Self.information,
                        Int32(Self.information.count),
                        output.baseAddress,
                        output.count
                    ) == 1
                case .pbkdf2:
                    COpenSSLShims_pbkdf2_sha256(
                        input.baseAddress,
                        Int32(input.count),
                        Self.salt,
                        Int32(Self.salt.count),
                        Self.rounds,
                        output.baseAddress,
                        Int32(output.count)
                    ) == 1
                }
            }
        }
        guard let derived else { throw .derivation }
        return derived
    }

    /// For comparison with published vectors.
    func copyOfMaterial() -> [UInt8] {
        material.withBytes { Array($0) }
    }
}
