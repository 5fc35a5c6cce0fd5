// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// What became of one protected packet.
package enum SRTPResult: Equatable, Sendable {
    /// Authentic, new, and decrypted in place to this length.
    case accepted(length: Int)
    /// Worthless; no state has changed, the bytes may have.
    case refused(DropReason)
}

/// Checks and decrypts packets of one peer. A handle on memory that its ``SRTPSession`` owns.
package struct SRTPReceiver {
    let context: UnsafeMutablePointer<SRTPCryptoContext>

    /// Checks and decrypts an RTP packet in place (RFC 3711 §3.3). The cheap checks come first: shape, then replay
    /// window.
    /// - Parameter state: of the packet's SSRC; changes only when the packet is accepted.
    @inline(__always)
    package func unprotect(
        packet: UnsafeMutableRawPointer,
        length: Int,
        state: inout SRTPReceiveStreamState
    ) -> SRTPResult {
        let profile = context.pointee.profile
        guard length <= SRTPHeader.longestPacket else { return .refused(.tooLong) }
        let plainLength = length - profile.tagLength
        let headerLength = SRTPHeader.length(of: packet, packetLength: plainLength)
        guard headerLength > 0 else { return .refused(.srtpMalformed) }

        let sequence = UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let estimate = state.estimate(sequence)
        if let reason = state.refusal(of: estimate) { return .refused(reason) }
        let index = UInt64(bitPattern: estimate)

        let body = packet + headerLength
        let bodyLength = plainLength - headerLength
        let transform = context.pointee.rtp
        switch profile {
        case .aeadAes128Gcm:
            let vector = transform.gcmVector(ssrc: ssrc, index: index)
            guard
                COpenSSLShims_srtp_gcm_open(
                    transform.cipher, vector.high, vector.low, packet, Int32(headerLength), nil, 0, body,
                    Int32(bodyLength)) == 1
            else { return .refused(.srtpAuthentication) }
        case .aes128CmHmacSha1Tag80:
            let rollover = UInt32(truncatingIfNeeded: index >> 16)
            guard transform.tagMatches(packet, length: plainLength, extra: rollover, extraLength: 4) else {
                return .refused(.srtpAuthentication)
            }
            let vector = transform.counterVector(ssrc: ssrc, index: index)
            guard
                COpenSSLShims_srtp_ctr(transform.cipher, vector.high, vector.low, body, Int32(bodyLength), body) == 1
            else { return .refused(.srtpMalformed) }
        }
        state.accepted(estimate)
        return .accepted(length: plainLength)
    }

    /// Checks and decrypts a compound RTCP packet in place (RFC 3711 §3.4, RFC 7714 §9).
    ///
    /// NOTE: a packet that is authentic but not encrypted (E bit clear) is refused; no WebRTC endpoint sends one.
    package func unprotectRTCP(packet: UnsafeMutableRawPointer, length: Int) -> SRTPResult {
        let profile = context.pointee.profile
        guard length <= SRTPHeader.longestPacket else { return .refused(.tooLong) }
        let plainLength = length - profile.tagLength - SRTPProfile.rtcpIndexLength
        guard plainLength >= SRTPHeader.rtcpLength, SRTPHeader.hasVersion2(packet) else {
            return .refused(.srtpMalformed)
        }
        let trailerOffset =
            switch profile {
            case .aeadAes128Gcm: plainLength + profile.tagLength
            case .aes128CmHmacSha1Tag80: plainLength
            }
        let trailer = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: trailerOffset, as: UInt32.self))
        guard trailer & SRTPHeader.encryptedFlag != 0 else { return .refused(.srtpMalformed) }
        let index = trailer & SRTPHeader.lastRTCPIndex
        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        if let reason = context.pointee.rtcpReplay.refusal(ssrc: ssrc, index: index) { return .refused(reason) }

        let body = packet + SRTPHeader.rtcpLength
        let bodyLength = plainLength - SRTPHeader.rtcpLength
        let transform = context.pointee.rtcp
        switch profile {
        case .aeadAes128Gcm:
            let vector = transform.gcmVector(ssrc: ssrc, index: UInt64(index))
            guard
                COpenSSLShims_srtp_gcm_open(
                    transform.cipher, vector.high, vector.low, packet, Int32(SRTPHeader.rtcpLength),
                    packet + trailerOffset, Int32(SRTPProfile.rtcpIndexLength), body, Int32(bodyLength)) == 1
            else { return .refused(.srtpAuthentication) }
        case .aes128CmHmacSha1Tag80:
            let authenticated = plainLength + SRTPProfile.rtcpIndexLength
            guard transform.tagMatches(packet, length: authenticated, extra: 0, extraLength: 0) else {
                return .refused(.srtpAuthentication)
            }
            let vector = transform.counterVector(ssrc: ssrc, index: UInt64(index))
            guard
                COpenSSLShims_srtp_ctr(transform.cipher, vector.high, vector.low, body, Int32(bodyLength), body) == 1
            else { return .refused(.srtpMalformed) }
        }
        context.pointee.rtcpReplay.accepted(ssrc: ssrc, index: index)
        return .accepted(length: plainLength)
    }
}

extension SRTPTransform {
    /// Compares the 10 bytes behind the authenticated part with what they should be, in constant time.
    @inline(__always)
    func tagMatches(_ packet: UnsafeRawPointer, length: Int, extra: UInt32, extraLength: Int) -> Bool {
        var tag = InlineArray<20, UInt8>(repeating: 0)
        return withUnsafeMutableBytes(of: &tag) { bytes in
            let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            COpenSSLShims_srtp_hmac_tag(hmac, packet, length, extra, extraLength, start)
            return COpenSSLShims_equal(start, packet + length, 10) == 1
        }
    }
}
