// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// Why a frame was not encrypted or not decrypted.
package enum FrameRefusal: Error, Equatable, Sendable {
    /// Shorter than the part that stays clear, or no slice in it.
    case noClearHeader
    /// Too short for the tag, the nonce and the two bytes at the end.
    case tooShort(byteCount: Int)
    /// The length before the key index is not 12.
    case nonceLength(UInt8)
    /// More bytes than a frame may have.
    case tooLong(byteCount: Int)
    /// Nobody gave us a key of this index.
    case unknownKey(index: UInt8)
    /// Too many frames failed under the key of this index.
    case distrustedKey(index: UInt8)
    /// Wrong key or changed bytes.
    case authentication
    /// A frame to send is older than the one before.
    case timestampWentBack
    /// The timestamps to send went once around, or stand still; going on could repeat a nonce.
    case keyExhausted
    /// OpenSSL refused to encrypt.
    case cipher
}

/// Encryption of whole encoded frames, as LiveKit's clients do it between packetiser and codec.
///
///     | clear header, authenticated | AES-128-GCM ciphertext | tag 16 | nonce 12 | 0x0C | key index |
///
/// A frame without bytes (discontinuous transmission) is the same in both forms.
package struct FrameCipher: Sendable {
    static let keyByteCount = 16
    static let tagByteCount = 16
    static let nonceByteCount = 12
    static let trailerByteCount = 2
    /// Bytes of a frame in either form.
    package static let maximumByteCount = 16 * 1024 * 1024

    private let key: SecretBytes

    init(key: SecretBytes) {
        self.key = key
    }

    /// The index of the key that `frame` was encrypted with. Nil for a frame without bytes.
    package static func keyIndex(of frame: [UInt8]) -> UInt8? {
        frame.last
    }

    /// Encrypts. The same nonce must never be used twice with one key; ``FrameSealer`` takes care of it.
    func seal(
        _ frame: [UInt8],
        codec: FrameCodec,
        keyIndex: UInt8,
        nonce: [UInt8]
    ) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        guard frame.count <= Self.maximumByteCount else { throw .tooLong(byteCount: frame.count) }
        guard let clear = codec.clearByteCount(of: frame) else { throw .noClearHeader }
        let length = frame.count - clear
        var sealed = [UInt8](repeating: 0, count: length + Self.tagByteCount)
        let isSealed = key.withBytes { key in
            frame.withUnsafeBytes { frame in
                COpenSSLShims_aes128_gcm_seal(
                    key.baseAddress,
                    nonce,
                    frame.baseAddress,
                    Int32(clear),
                    frame.baseAddress.map { $0 + clear },
                    Int32(length),
                    &sealed
                ) == 1
            }
        }
        guard isSealed else { throw .cipher }
        sealed += nonce
        sealed += [UInt8(Self.nonceByteCount), keyIndex]
        return frame[..<clear] + (codec.needsEmulationPrevention ? EmulationPrevention.insert(into: sealed) : sealed)
    }

    /// Decrypts.
    package func open(_ frame: [UInt8], codec: FrameCodec) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        guard frame.count <= Self.maximumByteCount else { throw .tooLong(byteCount: frame.count) }
        guard let clear = codec.clearByteCount(of: frame) else { throw .noClearHeader }
        let rest = frame[clear...]
        let sealed = codec.needsEmulationPrevention ? EmulationPrevention.remove(from: rest) : Array(rest)
        let length = sealed.count - Self.tagByteCount - Self.nonceByteCount - Self.trailerByteCount
        guard length >= 0 else { throw .tooShort(byteCount: frame.count) }
        let nonceLength = sealed[sealed.count - Self.trailerByteCount]
        guard nonceLength == UInt8(Self.nonceByteCount) else { throw .nonceLength(nonceLength) }

        var plain = [UInt8](repeating: 0, count: length)
        let isOpen = key.withBytes { key in
            frame.withUnsafeBytes { frame in
                sealed.withUnsafeBytes { sealed in
                    COpenSSLShims_aes128_gcm_open(
                        key.baseAddress,
                        sealed.baseAddress.map { $0 + length + Self.tagByteCount },
                        frame.baseAddress,
                        Int32(clear),
                        sealed.baseAddress,
                        Int32(length),
                        &plain
                    ) == 1
                }
            }
        }
        guard isOpen else { throw .authentication }
        return frame[..<clear] + plain
    }

    /// For comparison with published vectors.
    func copyOfKey() -> [UInt8] {
        key.withBytes { Array($0) }
    }
}
