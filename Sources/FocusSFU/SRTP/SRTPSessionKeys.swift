// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// Session keys of one direction, for RTP or for RTCP, erased on deinit (RFC 3711 §4.3).
package struct SRTPSessionKeys: ~Copyable {
    /// Which keys to derive; the labels of RFC 3711 §4.3.1 and §4.3.2 follow in the order encryption, authentication,
    /// salt.
    package enum Purpose: UInt8, Sendable {
        case rtp = 0
        case rtcp = 3
    }

    private static let authenticationOffset = SRTPProfile.keyLength
    private static let saltOffset = authenticationOffset + SRTPProfile.authenticationKeyLength
    private static let length = saltOffset + 16

    private let memory: UnsafeMutableRawBufferPointer

    private init() {
        memory = .allocate(byteCount: Self.length, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Takes keys as they are; longer ones are cut.
    package init(encryption: [UInt8], authentication: [UInt8], salt: [UInt8]) {
        self.init()
        copy(encryption.prefix(SRTPProfile.keyLength), to: 0)
        copy(authentication.prefix(SRTPProfile.authenticationKeyLength), to: Self.authenticationOffset)
        copy(salt.prefix(14), to: Self.saltOffset)
    }

    /// Derives all three keys with a key derivation rate of zero (RFC 3711 §4.3.1; RFC 7714 §11 for the shorter salt).
    package init(
        deriving purpose: Purpose,
        masterKey: UnsafeRawBufferPointer,
        masterSalt: UnsafeRawBufferPointer,
        profile: SRTPProfile
    ) throws(SRTPError) {
        self.init()
        let key = masterKey.bindMemory(to: UInt8.self)
        guard key.count == SRTPProfile.keyLength, masterSalt.count == profile.saltLength,
            let cipher = COpenSSLShims_srtp_cipher(EVP_aes_128_ctr(), key.baseAddress, 1)
        else { throw .cipherUnavailable }
        defer { EVP_CIPHER_CTX_free(cipher) }

        let salt = SRTPSalt(masterSalt)
        let pieces: [(label: UInt8, offset: Int, count: Int)] = [
            (purpose.rawValue, 0, SRTPProfile.keyLength),
            (purpose.rawValue + 1, Self.authenticationOffset, SRTPProfile.authenticationKeyLength),
            (purpose.rawValue + 2, Self.saltOffset, profile.saltLength),
        ]
        for piece in pieces {
            // The label is byte 7 of the 14-byte input, which counter mode shifts left by 16 bits.
            let ivHigh = salt.high ^ UInt64(piece.label)
            let output = memory.baseAddress.map { $0 + piece.offset }
            guard COpenSSLShims_srtp_ctr(cipher, ivHigh, salt.low, output, Int32(piece.count), output) == 1 else {
                throw .cipherUnavailable
            }
        }
    }

    deinit {
        OPENSSL_cleanse(memory.baseAddress, memory.count)
        memory.deallocate()
    }

    package var encryption: UnsafeRawBufferPointer { slice(0, SRTPProfile.keyLength) }
    package var authentication: UnsafeRawBufferPointer {
        slice(Self.authenticationOffset, SRTPProfile.authenticationKeyLength)
    }
    /// The salt, filled up with zeros to 16 bytes.
    package var salt: UnsafeRawBufferPointer { slice(Self.saltOffset, 16) }

    private func slice(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[start..<start + count])
    }

    private func copy(_ bytes: some Sequence<UInt8>, to offset: Int) {
        for (index, byte) in bytes.enumerated() { memory[offset + index] = byte }
    }
}

/// A salt as the two halves of a 16-byte initialisation vector, ready to be combined with packet numbers.
struct SRTPSalt {
    let high: UInt64
    let low: UInt64

    /// Takes up to 16 bytes; what is missing counts as zero.
    init(_ bytes: UnsafeRawBufferPointer) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<8 { high = high << 8 | (index < bytes.count ? UInt64(bytes[index]) : 0) }
        for index in 8..<16 { low = low << 8 | (index < bytes.count ? UInt64(bytes[index]) : 0) }
        self.high = high
        self.low = low
    }
}
