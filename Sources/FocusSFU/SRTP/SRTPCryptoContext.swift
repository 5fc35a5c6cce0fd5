// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// Cipher state for RTP or for RTCP in one direction: keys set once, only the initialisation vector changes.
struct SRTPTransform {
    let cipher: OpaquePointer
    let hmac: UnsafeMutablePointer<COpenSSLShims_srtp_hmac>
    let salt: SRTPSalt

    init(keys: borrowing SRTPSessionKeys, profile: SRTPProfile, encrypts: Bool) throws(SRTPError) {
        let key = keys.encryption.bindMemory(to: UInt8.self).baseAddress
        let made =
            switch profile {
            case .aes128CmHmacSha1Tag80: COpenSSLShims_srtp_cipher(EVP_aes_128_ctr(), key, 1)
            case .aeadAes128Gcm: COpenSSLShims_srtp_cipher(EVP_aes_128_gcm(), key, encrypts ? 1 : 0)
            }
        guard let made else { throw .cipherUnavailable }
        cipher = made
        hmac = .allocate(capacity: 1)
        hmac.initialize(to: COpenSSLShims_srtp_hmac())
        COpenSSLShims_srtp_hmac_init(hmac, keys.authentication.bindMemory(to: UInt8.self).baseAddress)
        salt = SRTPSalt(keys.salt)
    }

    /// Frees and erases; the value must not be used again.
    func free() {
        EVP_CIPHER_CTX_free(cipher)
        OPENSSL_cleanse(hmac, MemoryLayout<COpenSSLShims_srtp_hmac>.size)
        hmac.deallocate()
    }

    /// RFC 7714 §8.1: two zero bytes, SSRC, rollover counter, sequence number, combined with the salt.
    @inline(__always)
    func gcmVector(ssrc: UInt32, index: UInt64) -> (high: UInt64, low: UInt64) {
        (salt.high ^ (UInt64(ssrc) << 16 | index >> 32), salt.low ^ (index & 0xFFFF_FFFF) << 32)
    }

    /// RFC 3711 §4.1.1: SSRC shifted by 64 bits and the index by 16, combined with the salt shifted by 16.
    @inline(__always)
    func counterVector(ssrc: UInt32, index: UInt64) -> (high: UInt64, low: UInt64) {
        (salt.high ^ UInt64(ssrc), salt.low ^ index << 16)
    }
}

/// Everything one direction of a peer needs for a packet, in memory allocated once (RFC 3711 §3.2).
struct SRTPCryptoContext {
    let profile: SRTPProfile
    let rtp: SRTPTransform
    let rtcp: SRTPTransform
    /// The index of the next SRTCP packet sent.
    var rtcpIndex: UInt32 = 0
    /// Windows of the SRTCP packets received.
    var rtcpReplay = SRTCPReplayTable()
    /// Packets that could not be protected.
    var failures: UInt64 = 0

    static func allocate(
        profile: SRTPProfile,
        rtp: borrowing SRTPSessionKeys,
        rtcp: borrowing SRTPSessionKeys,
        encrypts: Bool
    ) throws(SRTPError) -> UnsafeMutablePointer<Self> {
        let rtpTransform = try SRTPTransform(keys: rtp, profile: profile, encrypts: encrypts)
        let rtcpTransform: SRTPTransform
        do {
            rtcpTransform = try SRTPTransform(keys: rtcp, profile: profile, encrypts: encrypts)
        } catch {
            rtpTransform.free()
            throw error
        }
        let context = UnsafeMutablePointer<Self>.allocate(capacity: 1)
        context.initialize(to: Self(profile: profile, rtp: rtpTransform, rtcp: rtcpTransform))
        return context
    }

    static func free(_ context: UnsafeMutablePointer<Self>) {
        context.pointee.rtp.free()
        context.pointee.rtcp.free()
        // The salts are key material too; the table is destroyed first, then nothing but plain bytes is left.
        context.deinitialize(count: 1)
        OPENSSL_cleanse(context, MemoryLayout<Self>.size)
        context.deallocate()
    }
}
