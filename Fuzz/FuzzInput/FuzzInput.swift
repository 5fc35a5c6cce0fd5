// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One input of the fuzzer, read from the front: numbers that choose what to do, then the bytes to do it with.
///
/// Running out of bytes is no error, a number is 0 then: every input means something, so the fuzzer wastes none.
package struct FuzzInput {
    private var rest: UnsafeRawBufferPointer

    /// - Parameter start: what libFuzzer hands to a target; valid for that call only.
    package init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        rest = UnsafeRawBufferPointer(start: start, count: count)
    }

    package var isEmpty: Bool { rest.isEmpty }

    package mutating func nextByte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    package mutating func nextUInt16() -> UInt16 {
        UInt16(nextByte()) << 8 | UInt16(nextByte())
    }

    /// The next datagram of a script: two bytes of length, big-endian, then the bytes, as many as there are.
    package mutating func nextDatagram() -> UnsafeRawBufferPointer {
        let length = min(Int(nextUInt16()), rest.count)
        defer { rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(length)) }
        return UnsafeRawBufferPointer(rebasing: rest.prefix(length))
    }

    /// All that is left.
    package mutating func remainder() -> UnsafeRawBufferPointer {
        defer { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
        return rest
    }
}
