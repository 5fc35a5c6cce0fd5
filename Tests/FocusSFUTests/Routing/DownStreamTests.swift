// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Forwarding to one subscriber")
struct DownStreamTests {
    private static let start = MonotonicTime(nanoseconds: 1_000_000_000)
    private static var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: 16), count: 5)
    }

    /// Decisions look at the payload's length alone, so its memory is never read.
    private static func packet(
        _ extended: Int64, layer: Int8 = 0, isKeyFrame: Bool = false, isEmpty: Bool = false
    ) -> ReceivedPacket {
        ReceivedPacket(
            extended: extended, timestamp: UInt32(truncatingIfNeeded: extended &* 3_000), marker: true,
            isKeyFrame: isKeyFrame, isOfKeyFrame: isKeyFrame, layer: layer,
            descriptor: UnsafeRawBufferPointer(start: nil, count: 0),
            payload: isEmpty ? UnsafeRawBufferPointer(start: nil, count: 0) : payload)
    }

    /// A stream that flows, for the length of `body`.
    private static func withStream(isVideo: Bool = true, _ body: (inout DownStream) throws -> Void) rethrows {
        var stream = DownStream(
            ssrc: 1, rtxSSRC: 2, isVideo: isVideo, clockRate: 90_000, firstSequence: 100, firstTimestamp: 0)
        defer { stream.release() }
        stream.isFlowing = true
        try body(&stream)
    }

    /// Admits and counts as sent, as the packet path does.
    private static func send(_ packet: ReceivedPacket, on stream: inout DownStream) -> UInt16? {
        guard let numbers = stream.admit(packet, at: start) else { return nil }
        stream.countSent(payloadLength: packet.payload.count)
        return numbers.sequence
    }

    @Test("nothing passes while the stream does not flow")
    func notFlowing() {
        Self.withStream { stream in
            stream.isFlowing = false
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == nil)
            #expect(stream.currentLayer == -1)
        }
    }

    @Test("video begins with a key frame, audio with any packet", arguments: [true, false])
    func beginning(isVideo: Bool) {
        Self.withStream(isVideo: isVideo) { stream in
            #expect(Self.send(Self.packet(1000), on: &stream) == (isVideo ? nil : 100))
            #expect(Self.send(Self.packet(1001, isKeyFrame: isVideo), on: &stream) == (isVideo ? 100 : 101))
            #expect(stream.currentLayer == 0)
            #expect(stream.packetsSent == (isVideo ? 1 : 2))
        }
    }

    @Test("packets from before the first key frame stay out, also when they come late")
    func beforeKeyFrame() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1005, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(1004), on: &stream) == nil)
        }
    }

    @Test("another layer takes over at its key frame, and only when it is the wanted one")
    func layerSwitch() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(50, layer: 1, isKeyFrame: true), on: &stream) == nil)
            stream.targetLayer = 1
            #expect(Self.send(Self.packet(51, layer: 1), on: &stream) == nil)
            #expect(Self.send(Self.packet(1001), on: &stream) == 101)
            #expect(Self.send(Self.packet(52, layer: 1, isKeyFrame: true), on: &stream) == 102)
            #expect(Self.send(Self.packet(1002), on: &stream) == nil)
            #expect(Self.send(Self.packet(53, layer: 1), on: &stream) == 103)
            #expect(stream.currentLayer == 1)
        }
    }

    @Test("a detached stream waits for the next key frame and goes on with the next number")
    func detached() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            stream.detachSource()
            #expect(Self.send(Self.packet(1001), on: &stream) == nil)
            #expect(Self.send(Self.packet(1010, isKeyFrame: true), on: &stream) == 101)
        }
    }

    @Test("padding alone is not forwarded and leaves no gap")
    func padding() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(1001, isEmpty: true), on: &stream) == nil)
            #expect(Self.send(Self.packet(1002), on: &stream) == 101)
        }
    }

    @Test("a duplicate is not sent again under its number")
    func duplicate() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(1002), on: &stream) == 102)
            #expect(Self.send(Self.packet(1002), on: &stream) == nil)
            #expect(Self.send(Self.packet(1001), on: &stream) == 101)
            #expect(Self.send(Self.packet(1001), on: &stream) == nil)
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == nil)
        }
    }

    @Test("a packet later than the window is long is left out")
    func tooLate() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(2000), on: &stream) == 1100)
            #expect(Self.send(Self.packet(1480), on: &stream) == nil)
            #expect(Self.send(Self.packet(1700), on: &stream) == 800)
        }
    }

    @Test("only what was sent is sent again, with the layer and number of its source")
    func resend() throws {
        try Self.withStream { stream in
            #expect(Self.send(Self.packet(0x10000 + 1000, isKeyFrame: true), on: &stream) == 100)
            let answer = stream.resend(100, roundTripMilliseconds: 50, at: Self.start)
            let lost = try #require(answer)
            #expect(lost.layer == 0)
            #expect(lost.source == 0x10000 + 1000)
            for unknown: UInt16 in [101, 100 + 512] {
                #expect(stream.resend(unknown, roundTripMilliseconds: 50, at: Self.start) == nil)
            }
            #expect(stream.resendCount == 1)
        }
    }

    @Test("what was left out moves what is sent again")
    func resendBehindOmission() throws {
        try Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            #expect(Self.send(Self.packet(1001, isEmpty: true), on: &stream) == nil)
            #expect(Self.send(Self.packet(1002), on: &stream) == 101)
            let answer = stream.resend(101, roundTripMilliseconds: 50, at: Self.start)
            let lost = try #require(answer)
            #expect(lost.source == 1002)
            // The first packet has the stream's first timestamp, which is zero.
            #expect(lost.timestampOffset == 3_000 * 1000)
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: Self.start)?.source == 1000)
        }
    }

    @Test("what came from a source that is gone is not sent again")
    func resendFromDetached() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            stream.detachSource()
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: Self.start) == nil)
            #expect(Self.send(Self.packet(1010, isKeyFrame: true), on: &stream) == 101)
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: Self.start) == nil)
            #expect(stream.resend(101, roundTripMilliseconds: 50, at: Self.start)?.source == 1010)
        }
    }

    /// The rollover counter would be guessed too low, and an old number used again.
    @Test("half the numbers ahead, the stream goes on with the next one", arguments: [true, false])
    func outOfReach(isVideo: Bool) {
        Self.withStream(isVideo: isVideo) { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: isVideo), on: &stream) == 100)
            #expect(Self.send(Self.packet(1000 + 0x7FFF), on: &stream) == 32_867)
            let leap = Self.send(Self.packet(1000 + 0xFFFF), on: &stream)
            #expect(leap == (isVideo ? nil : 32_868))
            let next = Self.send(Self.packet(1001 + 0xFFFF, isKeyFrame: isVideo), on: &stream)
            #expect(next == (isVideo ? 32_868 : 32_869))
        }
    }

    @Test("a packet half the numbers behind is of another source, and begins anew", arguments: [true, false])
    func farBehind(isVideo: Bool) {
        Self.withStream(isVideo: isVideo) { stream in
            #expect(Self.send(Self.packet(0x40000, isKeyFrame: isVideo), on: &stream) == 100)
            #expect(Self.send(Self.packet(0x40000 - 0x8000, isKeyFrame: isVideo), on: &stream) == nil)
            #expect(Self.send(Self.packet(0x40000 - 0x8002, isKeyFrame: isVideo), on: &stream) == 101)
        }
    }

    @Test("a packet sent again has its number also where the output's numbers wrap around")
    func resendAcrossWrap() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            for extended in stride(from: Int64(31_000), through: 66_000, by: 500) {
                _ = Self.send(Self.packet(extended), on: &stream)
            }
            for extended in Int64(66_430)...66_445 { _ = Self.send(Self.packet(extended), on: &stream) }
            // 66445 - 900 is 65545: nine beyond the wrap.
            #expect(stream.resend(9, roundTripMilliseconds: 50, at: Self.start)?.source == 66_445)
            #expect(stream.resend(65_534, roundTripMilliseconds: 50, at: Self.start)?.source == 66_434)
            #expect(stream.resend(65_500, roundTripMilliseconds: 50, at: Self.start) == nil)
        }
    }

    @Test("a layer that began anew is not asked for what it sent before", arguments: [Int8(0), 1])
    func layerBeganAnew(layer: Int8) {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            stream.targetLayer = 1
            #expect(Self.send(Self.packet(50, layer: 1, isKeyFrame: true), on: &stream) == 101)
            stream.sourceBegan(layer)
            #expect((stream.resend(100, roundTripMilliseconds: 50, at: Self.start) == nil))
            #expect((stream.resend(101, roundTripMilliseconds: 50, at: Self.start) == nil) == (layer == 1))
            #expect(stream.currentLayer == (layer == 1 ? -1 : 1))
        }
    }

    @Test("what went out under other headers is not sent again")
    func otherHeader() {
        Self.withStream { stream in
            stream.negotiated(payloadType: 96, rtxPayloadType: 0, descriptorID: 0)
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            stream.negotiated(payloadType: 96, rtxPayloadType: 0, descriptorID: 0)
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: Self.start)?.source == 1000)
            let later = Self.start.advanced(byMilliseconds: 500)
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: later)?.source == 1000)
            stream.negotiated(payloadType: 97, rtxPayloadType: 0, descriptorID: 0)
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: later.advanced(byMilliseconds: 500)) == nil)
            #expect(Self.send(Self.packet(1001), on: &stream) == 101)
            #expect(stream.resend(101, roundTripMilliseconds: 50, at: Self.start)?.source == 1001)
        }
    }

    /// The cipher guesses the rollover counter from the last number it knows of (RFC 3711 §3.3.1).
    @Test("what cannot be sealed counts as used")
    func refusedSealing() {
        Self.withStream(isVideo: false) { stream in
            for extended: Int64 in [70_000, 70_000 + 32_767, 70_000 + 65_534] {
                #expect(stream.admit(Self.packet(extended), at: Self.start) != nil)
            }
            let number = Self.send(Self.packet(70_000 + 65_536), on: &stream)
            #expect(number == 100)
            #expect(stream.srtp.rolloverCounter == 1)
        }
    }

    @Test("a resend must be given time to arrive, and there are three of them")
    func resendPolicy() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            var answered: [UInt64] = []
            for milliseconds in stride(from: UInt64(0), to: 2_000, by: 50) {
                let now = Self.start.advanced(byMilliseconds: milliseconds)
                if stream.resend(100, roundTripMilliseconds: 240, at: now) != nil { answered.append(milliseconds) }
            }
            #expect(answered == [0, 250, 500])
        }
    }

    @Test("what has left the window is not sent again")
    func overwritten() {
        Self.withStream { stream in
            #expect(Self.send(Self.packet(1000, isKeyFrame: true), on: &stream) == 100)
            for extended in Int64(1001)...1512 { _ = Self.send(Self.packet(extended), on: &stream) }
            #expect(stream.resend(100, roundTripMilliseconds: 50, at: Self.start) == nil)
            #expect(stream.resend(612, roundTripMilliseconds: 50, at: Self.start)?.source == 1512)
        }
    }

    /// AES-GCM: two packets under one number would give the authentication key away (RFC 7714 §10.1).
    @Test(
        "no number names two packets, and what is sent again is what it named",
        arguments: [UInt64(11), 12, 13, 14, 15, 16])
    func uniqueNumbers(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        try Self.withStream { stream in
            var next: [Int64] = [0x10000, 0x13000, 0x1F000]
            var used: Set<Int64> = []
            var output = SequenceUnwrapper()
            var late: [ReceivedPacket] = []
            var sources: [UInt16: ReceivedPacket] = [:]
            var last: UInt16 = 0
            var (sent, answered) = (0, 0)
            for _ in 0..<40_000 {
                let layer =
                    Int.random(in: 0..<100, using: &generator) < 80
                    ? Int(max(0, stream.currentLayer)) : Int.random(in: 0..<3, using: &generator)
                switch Int.random(in: 0..<400, using: &generator) {
                case 0, 1: next[layer] += Int64.random(in: 2...700, using: &generator)
                case 2: next[layer] += Int64.random(in: 700...0x8000, using: &generator)
                default: next[layer] += 1
                }
                let packet = Self.packet(
                    next[layer], layer: Int8(layer), isKeyFrame: Int.random(in: 0..<30, using: &generator) == 0,
                    isEmpty: Int.random(in: 0..<12, using: &generator) == 0)
                var batch = [packet]
                switch Int.random(in: 0..<20, using: &generator) {
                case 0: batch.append(packet)
                case 1, 2:
                    late.append(packet)
                    batch = []
                case 3 where !late.isEmpty:
                    batch.append(late.remove(at: Int.random(in: late.indices, using: &generator)))
                case 4 where late.count > 8: late.removeFirst(4)
                default: break
                }
                if Int.random(in: 0..<150, using: &generator) == 0 {
                    stream.targetLayer = Int8.random(in: 0..<3, using: &generator)
                }
                if Int.random(in: 0..<900, using: &generator) == 0 {
                    stream.detachSource()
                    sources.removeAll()
                }
                if Int.random(in: 0..<900, using: &generator) == 0 {
                    let layer = Int8.random(in: 0..<3, using: &generator)
                    if layer == stream.currentLayer { sources.removeAll() }
                    stream.sourceBegan(layer)
                    sources = sources.filter { $0.value.layer != layer }
                }
                for packet in batch {
                    guard let number = Self.send(packet, on: &stream) else { continue }
                    sent += 1
                    let index = output.unwrap(number)
                    try #require(used.insert(index).inserted, "number \(number) again, seed \(seed)")
                    // What the cipher makes of the number is what we make of it.
                    let guess = SRTPPacketIndex.estimate(sequence: number, highest: stream.srtp.highestIndex)
                    try #require(guess == index - 0x10000, "number \(number), seed \(seed)")
                    sources[number] = packet
                    last = number
                }
                let asked = last &- UInt16.random(in: 0..<600, using: &generator)
                guard let answer = stream.resend(asked, roundTripMilliseconds: 50, at: Self.start) else { continue }
                answered += 1
                let source = try #require(sources[asked], "number \(asked), seed \(seed)")
                try #require(
                    answer.layer == source.layer && answer.source == source.extended, "number \(asked), seed \(seed)")
            }
            #expect(sent > 10_000)
            #expect(answered > 5_000)
        }
    }
}
