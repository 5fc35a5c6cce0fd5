// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import COpenSSLShims

/// Protects packets for one peer. A handle on memory that its SRTPSession owns.
///
/// With AES-GCM a packet index must never be used for two different packets, not even for two that differ in one header
/// byte: that would give the authentication key away (RFC 7714 §10.1). So a packet sent again under its old sequence
/// number must be the same byte for byte, header extensions included; anything else goes out under a new number (RFC
/// 4588).
package struct SRTPSender {
    let context: UnsafeMutablePointer<SRTPCryptoContext>

    /// Packets refused since the start: malformed, no room, key used up, or OpenSSL's failure.
    package var failureCount: UInt64 { context.pointee.failures }

    /// The index that the next SRTCP packet will carry. Settable for test vectors.
    package var nextRTCPIndex: UInt32 {
        get { context.pointee.rtcpIndex }
        nonmutating set { context.pointee.rtcpIndex = newValue }
    }

    /// Protects an RTP packet in place.
    /// - Parameters:
    ///   - capacity: bytes that may be written; the packet grows by the tag, SRTPProfile/maximumOverhead at most.
    ///   - state: of the packet's SSRC.
    /// - Returns: the new length, or 0 when refused and counted.
    @inline(__always)
    package func protect(
        packet: UnsafeMutableRawPointer,
        length: Int,
        capacity: Int,
        state: inout SRTPStreamState
    ) -> Int {
        let headerLength = SRTPHeader.length(of: packet, packetLength: length)
        guard headerLength > 0 else { return refuse() }
        return protect(
            header: packet,
            headerLength: headerLength,
            payload: packet + headerLength,
            payloadLength: length - headerLength,
            into: packet,
            capacity: capacity,
            state: &state
        )
    }

    /// Protects an RTP packet whose header was rewritten and whose payload is shared with other receivers.
    ///
    /// Copies the header into the slot unless it is there already, and encrypts from the shared payload behind it, so
    /// that plaintext is never copied.
    /// - Parameters:
    ///   - header: the complete RTP header with its extensions, 12 bytes at least.
    ///   - payload: the plaintext; may be in the slot behind the header, must not overlap it in any other way.
    ///   - slot: where the packet goes.
    /// - Returns: the packet's length, or 0 when refused and counted.
    @inline(__always)
    package func protect(
        header: UnsafeRawPointer,
        headerLength: Int,
        payload: UnsafeRawPointer,
        payloadLength: Int,
        into slot: UnsafeMutableRawPointer,
        capacity: Int,
        state: inout SRTPStreamState
    ) -> Int {
        let profile = context.pointee.profile
        let plainLength = headerLength &+ payloadLength
        guard headerLength >= 12, payloadLength >= 0, plainLength <= SRTPHeader.longestPacket,
            plainLength + profile.tagLength <= capacity
        else { return refuse() }

        let sequence = UInt16(bigEndian: header.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = UInt32(bigEndian: header.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let estimate = SRTPPacketIndex.estimate(sequence: sequence, highest: state.highestIndex)
        guard estimate >= 0, estimate <= SRTPPacketIndex.last else { return refuse() }
        let index = UInt64(estimate)

        if header != UnsafeRawPointer(slot) { slot.copyMemory(from: header, byteCount: headerLength) }
        let body = slot + headerLength
        let transform = context.pointee.rtp
        let sealed: Bool
        switch profile {
        case .aeadAes128Gcm:
            let vector = transform.gcmVector(ssrc: ssrc, index: index)
            sealed =
                COpenSSLShims_srtp_gcm_seal(
                    transform.cipher, vector.high, vector.low, slot, Int32(headerLength), nil, 0, payload,
                    Int32(payloadLength), body) == 1
        case .aes128CmHmacSha1Tag80:
            let vector = transform.counterVector(ssrc: ssrc, index: index)
            sealed =
                COpenSSLShims_srtp_ctr(
                    transform.cipher, vector.high, vector.low, payload, Int32(payloadLength), body) == 1
            transform.writeTag(
                over: slot, length: plainLength, extra: UInt32(truncatingIfNeeded: index >> 16), extraLength: 4,
                to: slot + plainLength)
        }
        guard sealed else { return refuse() }
        state.used(estimate)
        return plainLength + profile.tagLength
    }

    /// Protects a compound RTCP packet in place, always encrypted (RFC 3711 §3.4, RFC 7714 §9).
    /// - Returns: the new length, or 0 when refused and counted.
    package func protectRTCP(packet: UnsafeMutableRawPointer, length: Int, capacity: Int) -> Int {
        let profile = context.pointee.profile
        let index = context.pointee.rtcpIndex
        guard length >= SRTPHeader.rtcpLength, length <= SRTPHeader.longestPacket, index <= SRTPHeader.lastRTCPIndex,
            length + profile.tagLength + SRTPProfile.rtcpIndexLength <= capacity
        else { return refuse() }

        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let body = packet + SRTPHeader.rtcpLength
        let bodyLength = length - SRTPHeader.rtcpLength
        let trailer = index | SRTPHeader.encryptedFlag
        let transform = context.pointee.rtcp
        let sealed: Bool
        switch profile {
        case .aeadAes128Gcm:
            let vector = transform.gcmVector(ssrc: ssrc, index: UInt64(index))
            let trailerStart = packet + length + profile.tagLength
            trailerStart.storeBytes(of: trailer.bigEndian, as: UInt32.self)
            sealed =
                COpenSSLShims_srtp_gcm_seal(
                    transform.cipher, vector.high, vector.low, packet, Int32(SRTPHeader.rtcpLength), trailerStart,
                    Int32(SRTPProfile.rtcpIndexLength), body, Int32(bodyLength), body) == 1
        case .aes128CmHmacSha1Tag80:
            let vector = transform.counterVector(ssrc: ssrc, index: UInt64(index))
            sealed =
                COpenSSLShims_srtp_ctr(transform.cipher, vector.high, vector.low, body, Int32(bodyLength), body) == 1
            (packet + length).storeBytes(of: trailer.bigEndian, as: UInt32.self)
            let authenticated = length + SRTPProfile.rtcpIndexLength
            transform.writeTag(
                over: packet, length: authenticated, extra: 0, extraLength: 0, to: packet + authenticated)
        }
        guard sealed else { return refuse() }
        context.pointee.rtcpIndex = index + 1
        return length + profile.tagLength + SRTPProfile.rtcpIndexLength
    }

    private func refuse() -> Int {
        context.pointee.failures &+= 1
        return 0
    }
}

extension SRTPTransform {
    /// Writes the 10 bytes of an HMAC-SHA1-80 tag.
    @inline(__always)
    func writeTag(
        over packet: UnsafeRawPointer,
        length: Int,
        extra: UInt32,
        extraLength: Int,
        to destination: UnsafeMutableRawPointer
    ) {
        var tag = InlineArray<20, UInt8>(repeating: 0)
        withUnsafeMutableBytes(of: &tag) { bytes in
            let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            COpenSSLShims_srtp_hmac_tag(hmac, packet, length, extra, extraLength, start)
            destination.copyMemory(from: UnsafeRawBufferPointer(bytes), count: 10)
        }
    }
}

extension UnsafeMutableRawPointer {
    /// Copies the first `count` bytes of a buffer that has at least so many.
    @inline(__always)
    fileprivate func copyMemory(from buffer: UnsafeRawBufferPointer, count: Int) {
        guard let source = buffer.baseAddress, buffer.count >= count else { return }
        copyMemory(from: source, byteCount: count)
    }
}
