// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CSRTP
import FocusSFU
import Testing

/// One direction of libsrtp2.
private final class LibSRTP {
    private var session: srtp_t?
    private static let initialised = srtp_init()

    init(_ profile: SRTPProfile, masterKey: [UInt8], outbound: Bool) throws {
        try #require(Self.initialised == srtp_err_status_ok)
        var policy = srtp_policy_t()
        switch profile {
        case .aeadAes128Gcm:
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        case .aes128CmHmacSha1Tag80:
            srtp_crypto_policy_set_rtp_default(&policy.rtp)
            srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
        }
        policy.ssrc.type = outbound ? ssrc_any_outbound : ssrc_any_inbound
        policy.window_size = 1_024
        var key = masterKey
        let status = key.withUnsafeMutableBufferPointer { key in
            policy.key = key.baseAddress
            return srtp_create(&session, &policy)
        }
        try #require(status == srtp_err_status_ok)
    }

    deinit {
        srtp_dealloc(session)
    }

    func run(
        _ call: (srtp_t?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int32>?) -> srtp_err_status_t, _ bytes: [UInt8]
    )
        -> [UInt8]?
    {
        let packet = SRTPPacketBuffer(bytes)
        var length = Int32(bytes.count)
        guard call(session, packet.start, &length) == srtp_err_status_ok else { return nil }
        packet.length = Int(length)
        return packet.bytes
    }
}

@Suite("SRTP against libsrtp2", .serialized)
struct SRTPInteroperabilityTests {
    /// The master key and salt that the fixed keying material gives to what a client writes.
    private func clientMaster(_ profile: SRTPProfile) -> [UInt8] {
        func byte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 37 &+ 11) }
        return (0..<16).map(byte) + (32..<32 + profile.saltLength).map(byte)
    }

    @Test("libsrtp2 reads what we write, around the wrap", arguments: SRTPProfile.allCases)
    func weWrite(profile: SRTPProfile) throws {
        let ours = try SRTPSession(keying: .fixed(profile), localRole: .client)
        let theirs = try LibSRTP(profile, masterKey: clientMaster(profile), outbound: false)
        var state = SRTPStreamState()
        for step in 0..<400 {
            let plain = rtpPacket(
                sequence: UInt16(truncatingIfNeeded: 65_300 + step), payload: step * 3,
                extensionWords: step % 3 == 0 ? step % 8 : nil)
            let packet = SRTPPacketBuffer(plain)
            packet.length = ours.sender.protect(
                packet: packet.start, length: plain.count, capacity: 2_048, state: &state)
            #expect(theirs.run(srtp_unprotect, packet.bytes) == plain)

            let report = rtcpPacket(words: 2 + step % 30)
            let control = SRTPPacketBuffer(report)
            control.length = ours.sender.protectRTCP(packet: control.start, length: report.count, capacity: 2_048)
            #expect(theirs.run(srtp_unprotect_rtcp, control.bytes) == report)
        }
    }

    @Test("we read what libsrtp2 writes, around the wrap", arguments: SRTPProfile.allCases)
    func theyWrite(profile: SRTPProfile) throws {
        let ours = try SRTPSession(keying: .fixed(profile), localRole: .server)
        let theirs = try LibSRTP(profile, masterKey: clientMaster(profile), outbound: true)
        var state = SRTPReceiveStreamState()
        for step in 0..<400 {
            let plain = rtpPacket(
                sequence: UInt16(truncatingIfNeeded: 65_300 + step), payload: step * 3,
                extensionWords: step % 3 == 0 ? step % 8 : nil)
            let packet = SRTPPacketBuffer(try #require(theirs.run(srtp_protect, plain)))
            let result = ours.receiver.unprotect(packet: packet.start, length: packet.length, state: &state)
            #expect(result == .accepted(length: plain.count))
            packet.length = plain.count
            #expect(packet.bytes == plain)

            let report = rtcpPacket(words: 2 + step % 30)
            let control = SRTPPacketBuffer(try #require(theirs.run(srtp_protect_rtcp, report)))
            let controlResult = ours.receiver.unprotectRTCP(packet: control.start, length: control.length)
            #expect(controlResult == .accepted(length: report.count))
            control.length = report.count
            #expect(control.bytes == report)
        }
        #expect(state.rolloverCounter == 1)
    }
}
