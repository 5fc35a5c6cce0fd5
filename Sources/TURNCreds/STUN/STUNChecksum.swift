// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims

/// What proves a STUN message: the code of who knows the password, and the checksum of everybody.
enum STUNChecksum {
    static let codeByteCount = 20

    /// HMAC-SHA-1 over a message up to its MESSAGE-INTEGRITY, whose length field counts that attribute, RFC 8489 §14.5.
    ///
    /// - Parameter covered: Header and attributes; the length field is set here.
    /// - Returns: nil when OpenSSL refuses HMAC-SHA-1.
    static func code(over covered: [UInt8], key: [UInt8]) -> [UInt8]? {
        var message = covered
        setLength(of: &message, following: 4 + codeByteCount)
        var code = [UInt8](repeating: 0, count: codeByteCount)
        guard let keyLength = Int32(exactly: key.count),
            COpenSSLShims_hmac_sha1(key, keyLength, message, message.count, &code) == 1
        else { return nil }
        return code
    }

    /// The key of a long-term credential, RFC 8489 §9.2.2; nil when OpenSSL refuses MD5.
    static func longTermKey(username: String, realm: [UInt8], password: String) -> [UInt8]? {
        let text = Array(username.utf8) + [UInt8(ascii: ":")] + realm + [UInt8(ascii: ":")] + Array(password.utf8)
        var key = [UInt8](repeating: 0, count: 16)
        return COpenSSLShims_md5(text, text.count, &key) == 1 ? key : nil
    }

    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && COpenSSLShims_equal(left, right, left.count) == 1
    }

    /// FINGERPRINT: CRC-32 of what stands before it, masked, RFC 8489 §14.7.
    static func fingerprint(of covered: some Collection<UInt8>) -> UInt32 {
        var remainder: UInt32 = 0xFFFF_FFFF
        for byte in covered {
            remainder = table[Int((remainder ^ UInt32(byte)) & 0xFF)] ^ (remainder >> 8)
        }
        return remainder ^ 0xFFFF_FFFF ^ 0x5354_554E
    }

    static func setLength(of message: inout [UInt8], following: Int) {
        let length = UInt16(clamping: message.count - TURNMessage.headerByteCount + following)
        message.replaceSubrange(2..<4, with: BigEndian.bytes(of: length))
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
}

extension TURNMessage {
    /// The bytes for the wire: with `key` followed by MESSAGE-INTEGRITY, always by FINGERPRINT.
    ///
    /// Without a working HMAC-SHA-1 the code is left out, and the server refuses the message.
    package func encoded(key: [UInt8]? = nil) -> [UInt8] {
        let (m, c) = (method.rawValue, messageClass.rawValue)
        let type = (m & 0x000F) | (m & 0x0070) << 1 | (m & 0x0F80) << 2 | (c & 1) << 4 | (c & 2) << 7
        var bytes = BigEndian.bytes(of: type) + [0, 0] + BigEndian.bytes(of: Self.magicCookie) + transactionID.bytes
        for attribute in attributes { Self.append(attribute.type, attribute.value, to: &bytes) }
        if let key, let code = STUNChecksum.code(over: bytes, key: key) {
            Self.append(TURNAttributeType.messageIntegrity.rawValue, code, to: &bytes)
        }
        STUNChecksum.setLength(of: &bytes, following: 8)
        let fingerprint = STUNChecksum.fingerprint(of: bytes)
        Self.append(TURNAttributeType.fingerprint.rawValue, BigEndian.bytes(of: fingerprint), to: &bytes)
        return bytes
    }

    private static func append(_ type: UInt16, _ value: [UInt8], to bytes: inout [UInt8]) {
        // Nothing written here comes near the limit of a value's length.
        let value = value.prefix(Int(UInt16.max))
        bytes += BigEndian.bytes(of: type) + BigEndian.bytes(of: UInt16(clamping: value.count)) + value
        bytes += [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
    }

    /// Whether MESSAGE-INTEGRITY is there and right.
    package func isProven(by key: [UInt8]) -> Bool {
        guard let integrity, let code = STUNChecksum.code(over: integrity.covered, key: key) else { return false }
        return STUNChecksum.areEqual(code, integrity.code)
    }
}
