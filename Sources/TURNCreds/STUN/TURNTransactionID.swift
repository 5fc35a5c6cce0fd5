// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What ties an answer to its request: 96 random bits, RFC 8489 §5.
package struct TURNTransactionID: Hashable, Sendable {
    package let high: UInt32
    package let low: UInt64

    package init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> Self {
        var generator = SystemRandomNumberGenerator()
        return Self(high: .random(in: 0 ... .max, using: &generator), low: .random(in: 0 ... .max, using: &generator))
    }

    var bytes: [UInt8] { BigEndian.bytes(of: high) + BigEndian.bytes(of: low) }
}

/// Numbers in network order.
enum BigEndian {
    static func bytes(of value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// The bytes as a number, the first the highest. Nil when they are not as many as `Value` has.
    static func value<Value: FixedWidthInteger & UnsignedInteger>(
        of bytes: some Collection<UInt8>, as type: Value.Type = Value.self
    ) -> Value? {
        guard bytes.count == MemoryLayout<Value>.size else { return nil }
        return bytes.reduce(0) { $0 << 8 | Value($1) }
    }
}
