// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why bytes are not a STUN message.
package enum STUNError: Error, Equatable, Sendable {
    case truncated(needed: Int, available: Int)
    /// The first two bits are set, the magic cookie is missing, or the length is not that of the datagram.
    case notSTUN
    /// An attribute has a length its type does not allow.
    case attributeLength(type: UInt16, length: Int)
    /// An address family other than 1 (IPv4) and 2 (IPv6).
    case addressFamily(UInt8)
    /// Bytes follow FINGERPRINT, which must be last.
    case attributeAfterFingerprint

    init(_ error: ByteReaderError) {
        switch error {
        case .truncated(let needed, let available): self = .truncated(needed: needed, available: available)
        }
    }
}

/// A STUN message as offsets and numbers; it owns no memory and parsing allocates none. RFC 8489 §5.
///
///      0                   1                   2                   3
///     |0 0|  message type (14 bits)   |         message length        |  bytes 0–3
///     |                     magic cookie 0x2112A442                   |  bytes 4–7
///     |                     transaction ID (96 bits)                  |  bytes 8–19
///     |           attribute: type, length, value, padding to 4        |  …
///
/// Offsets count from the first byte of the datagram. Of an attribute that occurs twice the first counts (§14).
/// What follows MESSAGE-INTEGRITY, other than FINGERPRINT, is not protected and therefore ignored (§14.5).
package struct STUNMessage: Equatable, Sendable {
    package enum Class: UInt8, Sendable {
        case request = 0
        case indication = 1
        case successResponse = 2
        case errorResponse = 3
    }

    package struct TransactionID: Hashable, Sendable {
        package var high: UInt32
        package var low: UInt64

        package init(high: UInt32, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    /// What the sender says of its own ICE role, with its tie-breaker.
    package enum RoleClaim: Equatable, Sendable {
        case controlling(UInt64)
        case controlled(UInt64)
    }

    package static let headerByteCount = 20
    package static let magicCookie: UInt32 = 0x2112_A442
    package static let bindingMethod: UInt16 = 0x001
    /// How many unknown attribute types are remembered for the 420 answer; more are counted as refused all the same.
    package static let unknownAttributeLimit = 4

    package let messageClass: Class
    package let method: UInt16
    package let transactionID: TransactionID
    /// Where the value of USERNAME lies.
    package private(set) var username: Range<Int>?
    /// Where MESSAGE-INTEGRITY starts (its type field); what lies before is protected.
    package private(set) var integrityOffset: Int?
    /// Where FINGERPRINT starts (its type field).
    package private(set) var fingerprintOffset: Int?
    package private(set) var priority: UInt32?
    package private(set) var usesCandidate = false
    package private(set) var role: RoleClaim?
    package private(set) var xorMappedAddress: NetworkAddress?
    package private(set) var errorCode: UInt16?
    /// How many types ``unknownAttributes`` holds.
    package private(set) var unknownAttributeCount = 0
    /// Types that must be understood and are not, in the order found.
    package private(set) var unknownAttributes: SIMD4<UInt16> = .zero

    /// True when the first bytes can be STUN and not DTLS, RTP or TURN channel data, RFC 7983 §7.
    package static func isSTUN(_ datagram: UnsafeRawBufferPointer) -> Bool {
        datagram.count >= headerByteCount && datagram[0] < 4
            && datagram[4] == 0x21 && datagram[5] == 0x12 && datagram[6] == 0xA4 && datagram[7] == 0x42
    }

    package init(reading datagram: UnsafeRawBufferPointer) throws(STUNError) {
        var reader = ByteReader(datagram)
        let type: UInt16
        let length: Int
        let cookie: UInt32
        do throws(ByteReaderError) {
            type = try reader.readUInt16()
            length = Int(try reader.readUInt16())
            cookie = try reader.readUInt32()
            transactionID = TransactionID(high: try reader.readUInt32(), low: try reader.readUInt64())
        } catch {
            throw STUNError(error)
        }
        // The class sits in bits 4 and 8 of the type, the method in the others, RFC 8489 §5.
        guard type < 0x4000, cookie == Self.magicCookie, length % 4 == 0, length == reader.remaining,
            let messageClass = Class(rawValue: UInt8(truncatingIfNeeded: (type >> 7 & 2) | (type >> 4 & 1)))
        else {
            throw .notSTUN
        }
        self.messageClass = messageClass
        method = (type & 0x000F) | (type >> 1 & 0x0070) | (type >> 2 & 0x0F80)
        while !reader.isAtEnd {
            try readAttribute(&reader)
        }
    }

    private mutating func readAttribute(_ reader: inout ByteReader) throws(STUNError) {
        guard fingerprintOffset == nil else { throw .attributeAfterFingerprint }
        let start = reader.offset
        let rawType: UInt16
        let value: UnsafeRawBufferPointer
        do throws(ByteReaderError) {
            rawType = try reader.readUInt16()
            let length = Int(try reader.readUInt16())
            value = try reader.readBytes(length)
            try reader.skip((4 - length % 4) % 4)
        } catch {
            throw STUNError(error)
        }
        let type = STUNAttributeType(rawValue: rawType)
        if integrityOffset != nil, type != .fingerprint { return }
        guard let type else {
            if STUNAttributeType.isComprehensionRequired(rawType) { rememberUnknown(rawType) }
            return
        }
        if let expected = type.valueByteCount, value.count != expected {
            throw .attributeLength(type: rawType, length: value.count)
        }
        do throws(ByteReaderError) {
            var fields = ByteReader(value)
            switch type {
            case .username where username == nil:
                username = start + 4..<start + 4 + value.count
            case .messageIntegrity:
                integrityOffset = start
            case .fingerprint:
                fingerprintOffset = start
            case .priority where priority == nil:
                priority = try fields.readUInt32()
            case .useCandidate:
                usesCandidate = true
            case .iceControlling where role == nil:
                role = .controlling(try fields.readUInt64())
            case .iceControlled where role == nil:
                role = .controlled(try fields.readUInt64())
            case .errorCode where errorCode == nil:
                // 21 reserved bits, the hundreds in three bits, the rest in eight: RFC 8489 §14.8.
                let bits = try fields.readUInt32()
                errorCode = UInt16(truncatingIfNeeded: (bits >> 8 & 7) * 100 + (bits & 0xFF))
            case .xorMappedAddress where xorMappedAddress == nil:
                break
            case .username, .priority, .iceControlling, .iceControlled, .errorCode, .xorMappedAddress,
                .unknownAttributes, .messageIntegritySHA256:
                return
            }
        } catch {
            throw STUNError(error)
        }
        if type == .xorMappedAddress {
            xorMappedAddress = try STUNAddress.read(value, transactionID: transactionID)
        }
    }

    private mutating func rememberUnknown(_ rawType: UInt16) {
        guard unknownAttributeCount < Self.unknownAttributeLimit else { return }
        unknownAttributes[unknownAttributeCount] = rawType
        unknownAttributeCount += 1
    }
}
