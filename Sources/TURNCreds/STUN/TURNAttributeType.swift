// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Attributes of STUN and TURN that are read or written here, RFC 8489 §18.3 and RFC 8656 §18.
package enum TURNAttributeType: UInt16, Sendable {
    case username = 0x0006
    case messageIntegrity = 0x0008
    case errorCode = 0x0009
    case channelNumber = 0x000C
    case lifetime = 0x000D
    case xorPeerAddress = 0x0012
    case data = 0x0013
    case realm = 0x0014
    case nonce = 0x0015
    case xorRelayedAddress = 0x0016
    case requestedAddressFamily = 0x0017
    case requestedTransport = 0x0019
    case xorMappedAddress = 0x0020
    case software = 0x8022
    case fingerprint = 0x8028
}

// MARK: - Values

extension TURNMessage {
    /// ERROR-CODE, 300 to 699; nil without one, or with a number outside.
    package var errorCode: Int? {
        guard let value = self[.errorCode], value.count >= 4, (3...6).contains(value[2] & 7), value[3] < 100 else {
            return nil
        }
        return Int(value[2] & 7) * 100 + Int(value[3])
    }

    /// LIFETIME in seconds.
    package var lifetimeSeconds: UInt32? {
        self[.lifetime].flatMap { BigEndian.value(of: $0, as: UInt32.self) }
    }

    /// An address attribute with its mask taken off, RFC 8489 §14.2; nil when it is absent or malformed.
    package func address(_ type: TURNAttributeType) -> RelayAddress? {
        guard let value = self[type], value.count >= 8, let masked = BigEndian.value(of: value[2..<4], as: UInt16.self),
            value.count == (value[1] == 1 ? 8 : value[1] == 2 ? 20 : -1)
        else { return nil }
        let mask = BigEndian.bytes(of: Self.magicCookie) + transactionID.bytes
        let bytes = zip(value[4...], mask).map { $0 ^ $1 }
        return RelayAddress(bytes: bytes, port: masked ^ UInt16(Self.magicCookie >> 16))
    }

    package mutating func add(_ type: TURNAttributeType, _ value: some Sequence<UInt8>) {
        attributes.append(Attribute(type: type.rawValue, value: Array(value)))
    }

    package mutating func add(_ type: TURNAttributeType, _ address: RelayAddress) {
        let mask = BigEndian.bytes(of: Self.magicCookie) + transactionID.bytes
        var value: [UInt8] = [0, address.isIPv6 ? 2 : 1]
        value += BigEndian.bytes(of: address.port ^ UInt16(Self.magicCookie >> 16))
        value += zip(address.bytes, mask).map { $0 ^ $1 }
        add(type, value)
    }
}
