// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Transport-wide feedback generation")
struct TransportFeedbackGeneratorTests {
    var generator = TransportFeedbackGenerator()
    var writer = ByteWriter()

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: milliseconds)
    }

    @discardableResult
    mutating func receive(_ sequence: Int, marker: Bool = false, at milliseconds: UInt64) -> Bool {
        generator.received(UInt16(truncatingIfNeeded: sequence), marker: marker, at: Self.time(milliseconds))
    }

    mutating func feedback(at milliseconds: UInt64 = 0) throws -> [ReadTransportFeedback] {
        writer.removeAll()
        generator.writeFeedback(sender: 1, media: 2, at: Self.time(milliseconds), into: &writer)
        return writer.count == 0 ? [] : try ReadTransportFeedback.all(writer.bytes)
    }

    @Test("due with more than 20 packets after 100 ms, and not before")
    mutating func byCount() {
        for sequence in 0..<20 { #expect(!receive(sequence, at: UInt64(sequence) * 10)) }
        #expect(receive(20, at: 200))
    }

    @Test("not due with 30 packets within 100 ms; due with more than 100 at any time")
    mutating func byFullness() {
        for sequence in 0..<100 { #expect(!receive(sequence, at: 5)) }
        #expect(receive(100, at: 5))
    }

    @Test("due at the end of a frame after 50 ms")
    mutating func byMarker() {
        #expect(!receive(0, marker: true, at: 0))
        #expect(!receive(1, marker: true, at: 49))
        #expect(!receive(2, at: 50))
        #expect(receive(3, marker: true, at: 50))
    }

    @Test("losses between two feedbacks are told by the second; the count goes up")
    mutating func continues() throws {
        receive(65534, at: 0)
        receive(0, at: 1)
        #expect(try feedback().map(\.ticks) == [[0, nil, 4]])
        receive(3, at: 2)
        let next = try feedback()
        #expect(next.map(\.base) == [1])
        #expect(next.map(\.feedbackCount) == [1])
        #expect(next.map(\.ticks) == [[nil, nil, 8]])
        #expect(try feedback().isEmpty)
    }

    @Test("packets are told in the order of their numbers, duplicates once")
    mutating func reordered() throws {
        for sequence in [3, 1, 2, 3, 1] { receive(sequence, at: UInt64(sequence)) }
        #expect(try feedback().map(\.ticks) == [[4, 8, 12]])
    }

    @Test("a packet told missing that comes late is told in a packet of its own")
    mutating func late() throws {
        for sequence in [10, 12] { receive(sequence, at: 0) }
        _ = try feedback()
        receive(13, at: 1)
        receive(11, at: 2)
        let late = try feedback()
        #expect(late.map(\.base) == [11, 13])
        #expect(late.map(\.ticks) == [[8], [4]])
        receive(14, at: 3)
        #expect(try feedback().map(\.base) == [14])
    }

    @Test("a wide gap starts a new packet instead of a long one")
    mutating func gap() throws {
        receive(0, at: 0)
        receive(5000, at: 1)
        #expect(try feedback().map(\.base) == [0, 5000])
    }

    @Test("hostile numbers keep memory and datagram bounded", arguments: 0..<6 as Range<UInt64>)
    mutating func hostile(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var now: UInt64 = 0
        for _ in 0..<3000 {
            now += UInt64.random(in: 0..<(seed < 3 ? 10 : 20_000), using: &random)
            let due = receive(Int.random(in: 0..<(seed % 2 == 0 ? 70_000 : 300), using: &random), at: now)
            if due {
                _ = try feedback(at: now)
                #expect(writer.count < 1200)
            }
        }
    }
}
