// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The attribute types a connectivity check carries, RFC 8489 §14 and RFC 8445 §16.1.
package enum STUNAttributeType: UInt16, Sendable {
    case username = 0x0006
    case messageIntegrity = 0x0008
    case errorCode = 0x0009
    case unknownAttributes = 0x000A
    case messageIntegritySHA256 = 0x001C
    case xorMappedAddress = 0x0020
    case priority = 0x0024
    case useCandidate = 0x0025
    case fingerprint = 0x8028
    case iceControlled = 0x8029
    case iceControlling = 0x802A

    /// True when a receiver that does not know `rawType` must refuse the request with 420, RFC 8489 §14.
    package static func isComprehensionRequired(_ rawType: UInt16) -> Bool {
        rawType < 0x8000
    }

    /// The only length the value may have; nil when it varies.
    var valueByteCount: Int? {
        switch self {
        case .username, .errorCode, .unknownAttributes, .messageIntegritySHA256, .xorMappedAddress: nil
        case .messageIntegrity: MessageIntegrity.byteCount
        case .priority, .fingerprint: 4
        case .useCandidate: 0
        case .iceControlled, .iceControlling: 8
        }
    }
}

/// The error codes a lite agent answers with, RFC 8489 §14.8 and RFC 8445 §7.3.1.1.
package enum STUNErrorCode: UInt16, Sendable {
    case badRequest = 400
    case unauthenticated = 401
    case unknownAttribute = 420
    case roleConflict = 487

    /// For people reading a capture; nothing acts on it.
    var reasonPhrase: StaticString {
        switch self {
        case .badRequest: "Bad Request"
        case .unauthenticated: "Unauthenticated"
        case .unknownAttribute: "Unknown Attribute"
        case .roleConflict: "Role Conflict"
        }
    }
}
