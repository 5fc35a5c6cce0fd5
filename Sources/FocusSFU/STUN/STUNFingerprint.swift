// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// FINGERPRINT: CRC-32 over all that precedes it, xor 0x5354554E, RFC 8489 §14.7.
package enum STUNFingerprint {
    private static let mask: UInt32 = 0x5354_554E

    /// ITU V.42, reflected polynomial 0xEDB88320, one entry for each half byte.
    private static let table: [16 of UInt32] = [
        0x0000_0000, 0x1DB7_1064, 0x3B6E_20C8, 0x26D9_30AC, 0x76DC_4190, 0x6B6B_51F4, 0x4DB2_6158, 0x5005_713C,
        0xEDB8_8320, 0xF00F_9344, 0xD6D6_A3E8, 0xCB61_B38C, 0x9B64_C2B0, 0x86D3_D2D4, 0xA00A_E278, 0xBDBD_F21C,
    ]

    /// True when the attribute at `offset`, ``STUNMessage/fingerprintOffset``, fits the message.
    package static func isValid(_ datagram: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        guard offset >= STUNMessage.headerByteCount, offset + 8 <= datagram.count else { return false }
        let expected = value(over: datagram[..<offset])
        return datagram[(offset + 4)..<(offset + 8)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } == expected
    }

    /// The attribute's value for a message whose length field already counts this attribute.
    static func value(over message: some Sequence<UInt8>) -> UInt32 {
        var crc = UInt32.max
        for byte in message {
            crc = crc >> 4 ^ table[Int((crc ^ UInt32(byte)) & 15)]
            crc = crc >> 4 ^ table[Int((crc ^ UInt32(byte >> 4)) & 15)]
        }
        return ~crc ^ mask
    }
}
