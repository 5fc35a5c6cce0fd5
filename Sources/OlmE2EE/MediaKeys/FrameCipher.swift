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
    /// A frame that the server put in, with content that a server has no business to make up.
    case serverContent
    /// A frame that no key opens which anybody gave us.
    case unknownSender
    /// There is no key of ours yet.
    case noOwnKey
    /// More streams to send than one key is used for.
    case tooManyStreams
    /// A frame to send is older than the one before.
    case timestampWentBack
    /// The timestamps to send went once around, or stand still; going on could repeat a nonce.
    case keyExhausted
    /// OpenSSL refused to encrypt.
    case cipher

    /// The label of a counter.
    package var name: String {
        switch self {
        case .noClearHeader: "noClearHeader"
        case .tooShort: "tooShort"
        case .nonceLength: "nonceLength"
        case .tooLong: "tooLong"
        case .unknownKey: "unknownKey"
        case .distrustedKey: "distrustedKey"
        case .authentication: "authentication"
        case .serverContent: "serverContent"
        case .unknownSender: "unknownSender"
        case .noOwnKey: "noOwnKey"
        case .tooManyStreams: "tooManyStreams"
        case .timestampWentBack: "timestampWentBack"
        case .keyExhausted: "keyExhausted"
        case .cipher: "cipher"
        }
    }
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
        _ frame: [UInt8], codec: FrameCodec, keyIndex: UInt8, nonce: FrameNonce,
    ) throws(FrameRefusal) -> [UInt8] {
        guard !frame.isEmpty else { return [] }
        guard frame.count <= Self.maximumByteCount else { throw .tooLong(byteCount: frame.count) }
        guard let clear = codec.clearByteCount(of: frame) else { throw .noClearHeader }
        var output: [UInt8] = []
        output.reserveCapacity(frame.count + Self.tagByteCount + Self.nonceByteCount + Self.trailerByteCount)
        output += frame
        output.append(contentsOf: repeatElement(0, count: Self.tagByteCount))
        nonce.append(to: &output)
        let isSealed = key.withBytes { key in
            frame.withUnsafeBytes { frame in
                output.withUnsafeMutableBytes { output in
                    COpenSSLShims_aes128_gcm_seal(
                        key.baseAddress,
                        output.baseAddress.map { $0 + frame.count + Self.tagByteCount },
                        frame.baseAddress,
                        Int32(clear),
                        frame.baseAddress.map { $0 + clear },
                        Int32(frame.count - clear),
                        output.baseAddress.map { $0 + clear }
                    ) == 1
                }
            }
        }
        guard isSealed else { throw .cipher }
        output.append(UInt8(Self.nonceByteCount))
        output.append(keyIndex)
        guard codec.needsEmulationPrevention else { return output }
        return output[..<clear] + EmulationPrevention.insert(into: output[clear...])
    }

    /// Decrypts into `output`, in place of what was there. After a refusal it is empty.
    func open(_ frame: [UInt8], codec: FrameCodec, into output: inout [UInt8]) throws(FrameRefusal) {
        output.removeAll(keepingCapacity: true)
        guard !frame.isEmpty else { return }
        guard frame.count <= Self.maximumByteCount else { throw .tooLong(byteCount: frame.count) }
        guard let clear = codec.clearByteCount(of: frame) else { throw .noClearHeader }
        guard codec.needsEmulationPrevention else {
            return try open(frame, clear: clear, into: &output)
        }
        try open(frame[..<clear] + EmulationPrevention.remove(from: frame[clear...]), clear: clear, into: &output)
    }

    private func open(_ frame: [UInt8], clear: Int, into output: inout [UInt8]) throws(FrameRefusal) {
        let length = frame.count - clear - Self.tagByteCount - Self.nonceByteCount - Self.trailerByteCount
        guard length >= 0 else { throw .tooShort(byteCount: frame.count) }
        let nonceLength = frame[frame.count - Self.trailerByteCount]
        guard nonceLength == UInt8(Self.nonceByteCount) else { throw .nonceLength(nonceLength) }

        output += frame[..<(clear + length)]
        let isOpen = key.withBytes { key in
            frame.withUnsafeBytes { frame in
                output.withUnsafeMutableBytes { output in
                    COpenSSLShims_aes128_gcm_open(
                        key.baseAddress,
                        frame.baseAddress.map { $0 + clear + length + Self.tagByteCount },
                        frame.baseAddress,
                        Int32(clear),
                        frame.baseAddress.map { $0 + clear },
                        Int32(length),
                        output.baseAddress.map { $0 + clear }
                    ) == 1
                }
            }
        }
        guard isOpen else {
            output.removeAll(keepingCapacity: true)
            throw .authentication
        }
    }

    /// Decrypts.
    package func open(_ frame: [UInt8], codec: FrameCodec) throws(FrameRefusal) -> [UInt8] {
        var plain: [UInt8] = []
        try open(frame, codec: codec, into: &plain)
        return plain
    }

    /// For comparison with published vectors.
    func copyOfKey() -> [UInt8] {
        key.withBytes { Array($0) }
    }
}
