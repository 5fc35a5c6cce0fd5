// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Writing of STUN messages, RFC 8489 §5. A message starts at offset 0 of an empty writer.
///
/// Call ``writeSTUNHeader(_:method:transactionID:)``, the attributes in wire order, then
/// ``writeMessageIntegrity(key:)`` and at last ``writeSTUNFingerprint()``; each keeps the length field right.
extension ByteWriter {
    package mutating func writeSTUNHeader(
        _ messageClass: STUNMessage.Class,
        method: UInt16 = STUNMessage.bindingMethod,
        transactionID: STUNMessage.TransactionID
    ) {
        removeAll()
        let classBits = UInt16(messageClass.rawValue)
        write(
            (method & 0x000F) | (method & 0x0070) << 1 | (method & 0x0F80) << 2
                | (classBits & 1) << 4 | (classBits & 2) << 7)
        write(UInt16(0))
        write(STUNMessage.magicCookie)
        write(transactionID.high)
        write(transactionID.low)
    }

    package mutating func writeSTUNUsername(_ username: some Collection<UInt8>) {
        beginSTUNAttribute(.username, byteCount: username.count)
        write(contentsOf: username)
        endSTUNAttribute()
    }

    package mutating func writeSTUNPriority(_ priority: UInt32) {
        beginSTUNAttribute(.priority, byteCount: 4)
        write(priority)
        endSTUNAttribute()
    }

    package mutating func writeSTUNUseCandidate() {
        beginSTUNAttribute(.useCandidate, byteCount: 0)
        endSTUNAttribute()
    }

    package mutating func writeSTUNRole(_ role: STUNMessage.RoleClaim) {
        switch role {
        case .controlling(let tieBreaker):
            beginSTUNAttribute(.iceControlling, byteCount: 8)
            write(tieBreaker)
        case .controlled(let tieBreaker):
            beginSTUNAttribute(.iceControlled, byteCount: 8)
            write(tieBreaker)
        }
        endSTUNAttribute()
    }

    package mutating func writeSTUNMappedAddress(
        _ address: NetworkAddress, transactionID: STUNMessage.TransactionID
    ) {
        beginSTUNAttribute(.xorMappedAddress, byteCount: address.isIPv4 ? 8 : 20)
        STUNAddress.write(address, transactionID: transactionID, into: &self)
        endSTUNAttribute()
    }

    package mutating func writeSTUNError(_ code: STUNErrorCode) {
        let phrase = code.reasonPhrase
        beginSTUNAttribute(.errorCode, byteCount: 4 + phrase.utf8CodeUnitCount)
        write(UInt32(code.rawValue / 100) << 8 | UInt32(code.rawValue % 100))
        phrase.withUTF8Buffer { write(contentsOf: $0) }
        endSTUNAttribute()
    }

    /// Names the attributes that `message` carries and nobody here understands.
    package mutating func writeSTUNUnknownAttributes(of message: STUNMessage) {
        beginSTUNAttribute(.unknownAttributes, byteCount: 2 * message.unknownAttributeCount)
        for index in 0..<message.unknownAttributeCount { write(message.unknownAttributes[index]) }
        endSTUNAttribute()
    }

    /// - Parameter key: the password of the agent the request was meant for, in UTF-8.
    package mutating func writeMessageIntegrity(key: [UInt8]) {
        let code = bytes.withUnsafeBytes { message in
            MessageIntegrity.withCode(over: message, key: key) { code in
                Array(UnsafeBufferPointer(start: code, count: code == nil ? 0 : MessageIntegrity.byteCount))
            }
        }
        // Without a code the message stays unprotected and the peer refuses it.
        guard !code.isEmpty else { return }
        beginSTUNAttribute(.messageIntegrity, byteCount: code.count)
        write(contentsOf: code)
        endSTUNAttribute()
    }

    package mutating func writeSTUNFingerprint() {
        overwrite(UInt16(truncatingIfNeeded: count + 8 - STUNMessage.headerByteCount), at: 2)
        let value = STUNFingerprint.value(over: bytes)
        beginSTUNAttribute(.fingerprint, byteCount: 4)
        write(value)
        endSTUNAttribute()
    }

    private mutating func beginSTUNAttribute(_ type: STUNAttributeType, byteCount: Int) {
        write(type.rawValue)
        write(UInt16(truncatingIfNeeded: byteCount))
    }

    private mutating func endSTUNAttribute() {
        pad(to: 4)
        overwrite(UInt16(truncatingIfNeeded: count - STUNMessage.headerByteCount), at: 2)
    }
}
