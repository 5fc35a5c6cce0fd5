// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why bytes are no STUN message.
package enum TURNMessageFault: Error, Hashable, Sendable, CaseIterable {
    /// Fewer than the 20 bytes of a header, or fewer or more than the header says.
    case length
    /// The first two bits are not zero, or the magic cookie is another.
    case notSTUN
    /// A method that TURN over datagrams and streams does not use.
    case method
    /// An attribute reaches beyond the message.
    case attributeLength
    /// More than ``TURNMessage/attributeLimit``.
    case tooManyAttributes
    /// FINGERPRINT is there and wrong.
    case fingerprint
}

/// A STUN message with the methods of TURN, RFC 8489 §5 and RFC 8656 §17.
///
/// A value: reading takes all bytes of one message, writing gives them. What stands behind MESSAGE-INTEGRITY is left
/// out, because nothing proves it.
package struct TURNMessage: Equatable, Sendable {
    package enum Class: UInt16, Sendable {
        case request = 0
        case indication = 1
        case success = 2
        case error = 3
    }

    package enum Method: UInt16, Sendable {
        case binding = 1
        case allocate = 3
        case refresh = 4
        case send = 6
        case data = 7
        case createPermission = 8
        case channelBind = 9
    }

    package struct Attribute: Equatable, Sendable {
        package let type: UInt16
        package let value: [UInt8]
    }

    package static let headerByteCount = 20
    package static let magicCookie: UInt32 = 0x2112_A442
    /// Attributes that are read; no honest message of TURN has half as many.
    package static let attributeLimit = 48

    package let messageClass: Class
    package let method: Method
    package let transactionID: TURNTransactionID
    package internal(set) var attributes: [Attribute] = []
    /// The message up to MESSAGE-INTEGRITY and the code that stood there.
    private(set) var integrity: (covered: [UInt8], code: [UInt8])?

    package init(_ messageClass: Class, _ method: Method, transactionID: TURNTransactionID) {
        self.messageClass = messageClass
        self.method = method
        self.transactionID = transactionID
    }

    /// Reads one whole message.
    package init(_ bytes: [UInt8]) throws(TURNMessageFault) {
        guard bytes.count >= Self.headerByteCount else { throw .length }
        guard let type = BigEndian.value(of: bytes[0..<2], as: UInt16.self), type >> 14 == 0,
            BigEndian.value(of: bytes[4..<8], as: UInt32.self) == Self.magicCookie
        else { throw .notSTUN }
        guard let length = BigEndian.value(of: bytes[2..<4], as: UInt16.self), length % 4 == 0,
            bytes.count == Self.headerByteCount + Int(length)
        else { throw .length }
        let classBits = (type >> 4 & 1) | (type >> 7 & 2)
        let methodBits = (type & 0x000F) | (type >> 1 & 0x0070) | (type >> 2 & 0x0F80)
        guard let messageClass = Class(rawValue: classBits), let method = Method(rawValue: methodBits) else {
            throw .method
        }
        self.messageClass = messageClass
        self.method = method
        transactionID = TURNTransactionID(
            high: BigEndian.value(of: bytes[8..<12]) ?? 0, low: BigEndian.value(of: bytes[12..<20]) ?? 0)
        try readAttributes(bytes)
    }

    private mutating func readAttributes(_ bytes: [UInt8]) throws(TURNMessageFault) {
        var offset = Self.headerByteCount
        while offset < bytes.count {
            guard bytes.count - offset >= 4,
                let type = BigEndian.value(of: bytes[offset..<offset + 2], as: UInt16.self),
                let count = BigEndian.value(of: bytes[offset + 2..<offset + 4], as: UInt16.self)
            else { throw .attributeLength }
            let start = offset + 4
            let end = start + Int(count)
            guard end <= bytes.count else { throw .attributeLength }
            let value = Array(bytes[start..<end])
            switch TURNAttributeType(rawValue: type) {
            case .fingerprint:
                guard value == BigEndian.bytes(of: STUNChecksum.fingerprint(of: bytes[..<offset])) else {
                    throw .fingerprint
                }
                return
            case .messageIntegrity where integrity == nil:
                integrity = (Array(bytes[..<offset]), value)
            case _ where integrity != nil:
                break
            default:
                guard attributes.count < Self.attributeLimit else { throw .tooManyAttributes }
                attributes.append(Attribute(type: type, value: value))
            }
            offset = min(bytes.count, end + (4 - end % 4) % 4)
        }
    }

    /// The first value of a type.
    package subscript(_ type: TURNAttributeType) -> [UInt8]? {
        attributes.first { $0.type == type.rawValue }?.value
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.messageClass == right.messageClass && left.method == right.method
            && left.transactionID == right.transactionID && left.attributes == right.attributes
    }
}
