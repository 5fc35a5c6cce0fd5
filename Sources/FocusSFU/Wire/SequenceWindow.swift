// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which of the last packet indices of a stream were there: a ring of bits, 64 in a word. Moving on clears whole words,
/// so nothing is ever shifted.
///
/// The word that the highest index is in is shared by no older index, hence up to 63 indices less are covered than
/// there are bits. `wordCount` is a power of two.
struct SequenceWindow<let wordCount: Int>: Sendable {
    /// Indices that are covered at most.
    static var bitCount: Int { wordCount * 64 }

    private var words = InlineArray<wordCount, UInt64>(repeating: 0)

    /// False for what has left the ring; `index` is not above `highest`.
    @inline(__always)
    func covers(_ index: Int64, highest: Int64) -> Bool {
        highest >> 6 &- index >> 6 < Int64(wordCount)
    }

    @inline(__always)
    func contains(_ index: Int64) -> Bool {
        words[Int(index >> 6) & (wordCount &- 1)] & 1 << UInt64(index & 63) != 0
    }

    @inline(__always)
    mutating func insert(_ index: Int64) {
        words[Int(index >> 6) & (wordCount &- 1)] |= 1 << UInt64(index & 63)
    }

    /// Clears what the ring is about to use again.
    @inline(__always)
    mutating func advance(from old: Int64, to new: Int64) {
        let newWord = new >> 6
        var word = max(old >> 6 &+ 1, newWord &- Int64(wordCount &- 1))
        while word <= newWord {
            words[Int(word) & (wordCount &- 1)] = 0
            word &+= 1
        }
    }
}
