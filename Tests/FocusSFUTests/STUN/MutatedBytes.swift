// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Variants of one well-formed packet, the same for the same seed: bytes changed, cut off, repeated and appended.
struct MutatedBytes: Sequence, IteratorProtocol {
    private let original: [UInt8]
    private var generator: SeededGenerator
    private var remaining: Int

    init(of original: [UInt8], seed: UInt64, count: Int = 4000) {
        self.original = original
        generator = SeededGenerator(seed: seed)
        remaining = count
    }

    mutating func next() -> [UInt8]? {
        guard remaining > 0 else { return nil }
        remaining -= 1
        var bytes = original
        for _ in 0...Int.random(in: 0..<4, using: &generator) where !bytes.isEmpty {
            let position = Int.random(in: bytes.indices, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes.removeLast(bytes.count - position)
            case 1: bytes.append(contentsOf: bytes[position...].prefix(64))
            case 2: bytes.remove(at: position)
            case 3: bytes[position] = .max
            case 4: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            default: bytes[position] = .random(in: 0...255, using: &generator)
            }
        }
        return bytes
    }
}

/// SplitMix64: small, and the same on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
