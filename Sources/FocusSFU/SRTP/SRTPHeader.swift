// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The shape of RTP and RTCP headers as far as protection needs it (RFC 3711 §3.1, §3.4).
enum SRTPHeader {
    /// No datagram is longer.
    static let longestPacket = 65_535
    /// The part of an RTCP packet that stays readable: the common header and the sender's SSRC.
    static let rtcpLength = 8
    /// The E bit before the 31-bit index.
    static let encryptedFlag: UInt32 = 0x8000_0000
    static let lastRTCPIndex: UInt32 = 0x7FFF_FFFF

    @inline(__always)
    static func hasVersion2(_ packet: UnsafeRawPointer) -> Bool {
        packet.load(as: UInt8.self) >> 6 == 2
    }

    /// Bytes up to the payload: fixed header, contributing sources, extension. 0 when they do not fit.
    @inline(__always)
    static func length(of packet: UnsafeRawPointer, packetLength: Int) -> Int {
        guard packetLength >= 12, hasVersion2(packet) else { return 0 }
        let first = packet.load(as: UInt8.self)
        var length = 12 + 4 * Int(first & 0x0F)
        if first & 0x10 != 0 {
            guard length + 4 <= packetLength else { return 0 }
            let words = packet.loadUnaligned(fromByteOffset: length + 2, as: UInt16.self)
            length += 4 + 4 * Int(UInt16(bigEndian: words))
        }
        return length <= packetLength ? length : 0
    }
}
