// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Serial arithmetic on 16-bit RTP sequence numbers, RFC 1982 and RFC 3550 appendix A.1.
package enum SequenceNumber {
    /// True when `a` comes after `b` on the circle; half a circle apart counts as before.
    @inline(__always)
    package static func isNewer(_ a: UInt16, than b: UInt16) -> Bool {
        a != b && a &- b < 0x8000
    }

    /// Steps from `b` forward to `a`, negative when `a` is older.
    @inline(__always)
    package static func distance(from b: UInt16, to a: UInt16) -> Int {
        Int(Int16(bitPattern: a &- b))
    }
}

/// Extends 16-bit sequence numbers to 64 bits by following the stream.
package struct SequenceUnwrapper: Sendable {
    private var last: Int64?

    package init() {}

    /// The newest number seen; nil before the first.
    package var newest: Int64? { last }

    /// The extended number nearest to the last one seen. Older numbers do not move the reference.
    package mutating func unwrap(_ sequence: UInt16) -> Int64 {
        guard let last else {
            // Start one cycle up, so that packets reordered around the first one stay positive.
            let first = Int64(sequence) + 0x10000
            self.last = first
            return first
        }
        let step = SequenceNumber.distance(from: UInt16(truncatingIfNeeded: last), to: sequence)
        let value = last + Int64(step)
        if value > last { self.last = value }
        return value
    }
}

/// Serial arithmetic on 32-bit RTP timestamps.
package enum RTPTimestamp {
    @inline(__always)
    package static func isNewer(_ a: UInt32, than b: UInt32) -> Bool {
        a != b && a &- b < 0x8000_0000
    }
}
