// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A short SDES item inside a header extension, kept inline so that comparing and storing allocate nothing. RFC 7941
/// §4.
///
/// Holds 1 to 16 bytes, all the one-byte form can carry; longer ones are refused.
package struct SDESText: Hashable, Sendable {
    package static let byteLimit = 16

    private var bytes: SIMD16<UInt8> = .zero
    private let count: UInt8

    /// - Throws: ``RTPError/extensionValue`` when empty, too long or with bytes outside printable ASCII.
    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        guard (1...Self.byteLimit).contains(value.count) else { throw .extensionValue }
        count = UInt8(value.count)
        for index in 0..<value.count {
            guard (0x21...0x7E).contains(value[index]) else { throw .extensionValue }
            bytes[index] = value[index]
        }
    }

    /// Nil under the same conditions.
    package init?(_ text: String) {
        let utf8 = text.utf8
        guard (1...Self.byteLimit).contains(utf8.count), utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        count = UInt8(utf8.count)
        for (index, byte) in utf8.enumerated() { bytes[index] = byte }
    }

    /// True when every byte is a letter or digit, as RFC 8852 §3.1 asks of stream identifiers.
    package var isAlphanumeric: Bool {
        (0..<Int(count)).allSatisfy { index in
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"):
                true
            default: false
            }
        }
    }
}

extension SDESText: CustomStringConvertible {
    package var description: String {
        String(decoding: (0..<Int(count)).map { bytes[$0] }, as: UTF8.self)
    }
}
