// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Counting what arrived of a stream")
struct StreamTallyTests {
    private static func tally(_ sequences: [UInt16]) -> StreamTally {
        var tally = StreamTally()
        for sequence in sequences { _ = tally.count(sequence) }
        return tally
    }

    @Test("a stream without loss, from each place of the circle", arguments: [UInt16(0), 1, 1_000, 65_000, 65_535])
    func complete(first: UInt16) {
        let tally = Self.tally((0..<2_000).map { first &+ $0 })
        #expect(tally.received == 2_000)
        #expect(tally.gaps == 0)
        #expect(tally.duplicates == 0)
    }

    @Test("three times around the circle")
    func wrap() {
        let tally = Self.tally((0..<200_000).map { UInt16(truncatingIfNeeded: $0) })
        #expect(tally.received == 200_000)
        #expect(tally.gaps == 0)
    }

    @Test("missing numbers are gaps, also across the wrap")
    func gaps() {
        let numbers = (0..<100).map { UInt16(truncatingIfNeeded: 65_500 + $0) }
        let tally = Self.tally(numbers.enumerated().filter { ![10, 40, 41].contains($0.offset) }.map(\.element))
        #expect(tally.received == 97)
        #expect(tally.gaps == 3)
    }

    @Test("what comes in another order is neither lost nor a duplicate")
    func reordering() {
        #expect(Self.tally([5, 3, 4, 7, 6]).gaps == 0)
        #expect(Self.tally([5, 3, 4, 7, 6]).received == 5)
        // The second packet overtaken by the wrap.
        let wrapped = Self.tally([65_534, 0, 65_535, 2, 1])
        #expect(wrapped.received == 5)
        #expect(wrapped.gaps == 0)
        #expect(wrapped.duplicates == 0)
    }

    @Test("what comes again counts once")
    func duplicates() {
        var tally = Self.tally([65_535, 0, 1])
        #expect(tally.count(0) == .duplicate)
        #expect(tally.count(65_535) == .duplicate)
        #expect(tally.count(2) == .new)
        #expect(tally.received == 4)
        #expect(tally.duplicates == 2)
        #expect(tally.gaps == 0)
    }

    @Test("what is a thousand numbers behind is not believed to be new")
    func tooOld() {
        var tally = Self.tally(Array(3_000..<6_000))
        #expect(tally.count(3_100) == .tooOld)
        #expect(tally.received == 3_000)
    }

    @Test("a table finds each of many streams and no other")
    func table() {
        var table = StreamTable()
        // Neighbours and multiples of a power of two would share slots of a poor table.
        let ssrcs = (0..<200).map { UInt32($0) } + (1..<200).map { UInt32($0) << 20 }
        for ssrc in ssrcs { table.expect(ssrc) }
        table.expect(ssrcs[7])
        #expect(table.ssrcs == ssrcs)
        for (index, ssrc) in ssrcs.enumerated() { #expect(table.position(of: ssrc) == index) }
        #expect(table.position(of: 200) == nil)
        #expect(table.position(of: .max) == nil)
        #expect(table.count(9, at: 3) == .new)
        #expect(table.tallies[3].received == 1)
        #expect(table.tallies[4].received == 0)
    }
}
