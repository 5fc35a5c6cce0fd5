// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("SRTP vectors, RFC 3711 appendix B and RFC 7714 §16, §17")
struct SRTPVectorTests {
    private static let gcmKey = srtpVector("000102030405060708090a0b0c0d0e0f")
    private static let gcmSalt = srtpVector("517569642070726f2071756f")

    private func session(_ profile: SRTPProfile, key: [UInt8], salt: [UInt8]) throws -> SRTPSession {
        func keys() -> SRTPSessionKeys { SRTPSessionKeys(encryption: key, authentication: [], salt: salt) }
        return try SRTPSession(
            profile: profile, sendRTP: keys(), sendRTCP: keys(), receiveRTP: keys(), receiveRTCP: keys())
    }

    @Test("the counter mode key stream of appendix B.2")
    func keyStream() throws {
        let session = try session(
            .aes128CmHmacSha1Tag80,
            key: srtpVector("2B7E151628AED2A6ABF7158809CF4F3C"), salt: srtpVector("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"))
        // SSRC and index zero, a payload of zeros: what comes out is the key stream.
        let packet = SRTPPacketBuffer([0x80] + [UInt8](repeating: 0, count: 11 + 48))
        var state = SRTPStreamState()
        let length = session.sender.protect(packet: packet.start, length: packet.length, capacity: 2_048, state: &state)
        #expect(length == packet.length + 10)
        #expect(
            packet.bytes.suffix(48)
                == srtpVector(
                    """
                    E03EAD0935C95E80E166B16DD92B4EB4
                    D23513162B02D0F72A43A2FE4A5F97AB
                    41E95B3BB0A2E8DD477901E4FCA894C0
                    """)[...])
    }

    @Test("the key derivation of appendix B.3")
    func keyDerivation() throws {
        let key = srtpVector("E1F97A0D3E018BE0D64FA32C06DE4139")
        let salt = srtpVector("0EC675AD498AFEEBB6960B3AABE6")
        try key.withUnsafeBytes { key in
            try salt.withUnsafeBytes { salt in
                let keys = try SRTPSessionKeys(
                    deriving: .rtp, masterKey: key, masterSalt: salt, profile: .aes128CmHmacSha1Tag80)
                #expect(Array(keys.encryption) == srtpVector("C61E7A93744F39EE10734AFE3FF7A087"))
                #expect(Array(keys.salt) == srtpVector("30CBBC08863D8C85D49DB34A9AE10000"))
                #expect(Array(keys.authentication) == srtpVector("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"))
            }
        }
    }

    @Test("the SRTP packet of RFC 7714 §16.1.1, both ways")
    func gcmPacket() throws {
        let session = try session(.aeadAes128Gcm, key: Self.gcmKey, salt: Self.gcmSalt)
        let plain = srtpVector(
            """
            8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
            69736120 696e2070 61727465 73207472 6573
            """)
        let protected = srtpVector(
            """
            8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
            0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce
            """)
        let packet = SRTPPacketBuffer(plain)
        var sendState = SRTPStreamState()
        packet.length = session.sender.protect(
            packet: packet.start, length: packet.length, capacity: 2_048, state: &sendState)
        #expect(packet.bytes == protected)

        var receiveState = SRTPReceiveStreamState()
        let result = session.receiver.unprotect(packet: packet.start, length: packet.length, state: &receiveState)
        #expect(result == .accepted(length: plain.count))
        packet.length = plain.count
        #expect(packet.bytes == plain)
    }

    @Test("the SRTCP packet of RFC 7714 §17.1, both ways")
    func gcmControlPacket() throws {
        let session = try session(.aeadAes128Gcm, key: Self.gcmKey, salt: Self.gcmSalt)
        let plain = srtpVector(
            """
            81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
            deadbeef deadbeef deadbeef deadbeef deadbeef
            """)
        let protected = srtpVector(
            """
            81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
            c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
            45d9eade 800005d4
            """)
        let packet = SRTPPacketBuffer(plain)
        session.sender.nextRTCPIndex = 0x5D4
        packet.length = session.sender.protectRTCP(packet: packet.start, length: packet.length, capacity: 2_048)
        #expect(packet.bytes == protected)

        let result = session.receiver.unprotectRTCP(packet: packet.start, length: packet.length)
        #expect(result == .accepted(length: plain.count))
        packet.length = plain.count
        #expect(packet.bytes == plain)
    }
}
