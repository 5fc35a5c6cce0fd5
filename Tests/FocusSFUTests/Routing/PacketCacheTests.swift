// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Packet cache, RFC 4588")
struct PacketCacheTests {
    @discardableResult
    private static func store(
        _ number: Int64, _ payload: [UInt8], descriptor: [UInt8] = [], marker: Bool = false,
        atMilliseconds time: UInt64 = 0, in cache: inout PacketCache
    ) -> Bool {
        descriptor.withUnsafeBytes { descriptor in
            payload.withUnsafeBytes { payload in
                cache.store(
                    .init(
                        extended: number, timestamp: UInt32(number) * 10, marker: marker, descriptor: descriptor,
                        payload: payload), at: MonotonicTime.zero.advanced(byMilliseconds: time))
            }
        }
    }

    @Test("a packet comes back as it was stored, with its descriptor")
    func storedPacket() throws {
        var cache = PacketCache(packetCount: 8, byteCount: 256)
        Self.store(7, [1, 2, 3], descriptor: [9, 8], marker: true, in: &cache)
        let found = cache.packet(7)
        let packet = try #require(found)
        #expect(packet.extended == 7)
        #expect(packet.timestamp == 70)
        #expect(packet.marker)
        #expect(Array(packet.descriptor) == [9, 8])
        #expect(Array(packet.payload) == [1, 2, 3])
        #expect(cache.packet(8) == nil)
        #expect(cache.packet(7 + 8) == nil)
    }

    @Test("an empty cache has no packet zero")
    func empty() {
        let cache = PacketCache(packetCount: 8, byteCount: 256)
        #expect(cache.packet(0) == nil)
    }

    @Test("the index forgets what is as old as it is long")
    func indexOverwrite() {
        var cache = PacketCache(packetCount: 4, byteCount: 1024)
        for number in Int64(0)..<6 { Self.store(number, [UInt8(number)], in: &cache) }
        #expect(cache.packet(0) == nil)
        #expect(cache.packet(1) == nil)
        for number in Int64(2)..<6 { #expect(cache.packet(number).map { Array($0.payload) } == [UInt8(number)]) }
    }

    @Test("a packet that comes a whole table late does not take the place of a newer one")
    func latePacket() {
        var cache = PacketCache(packetCount: 4, byteCount: 1024)
        for number in Int64(65_530)...65_535 { Self.store(number, [1], in: &cache) }
        Self.store(65_537, [2], in: &cache)
        Self.store(65_533, [3], in: &cache)
        #expect(cache.packet(65_537).map { Array($0.payload) } == [2])
        #expect(cache.packet(65_533) == nil)
    }

    @Test("what was stored first under a number stays, and a number a cycle later is another one")
    func sameNumber() {
        var cache = PacketCache(packetCount: 4, byteCount: 1024)
        #expect(Self.store(70_000, [1], in: &cache))
        #expect(!Self.store(70_000, [2], in: &cache))
        #expect(cache.packet(70_000).map { Array($0.payload) } == [1])
        #expect(Self.store(70_000 + 65_536, [3], in: &cache))
        #expect(cache.packet(70_000) == nil)
        #expect(cache.packet(70_000 + 65_536).map { Array($0.payload) } == [3])
    }

    @Test("a packet that would cross the end of the ring starts at its beginning")
    func byteWrap() {
        var cache = PacketCache(packetCount: 16, byteCount: 10)
        Self.store(1, [1, 1, 1, 1], in: &cache)
        Self.store(2, [2, 2, 2, 2], in: &cache)
        Self.store(3, [3, 3, 3, 3], in: &cache)
        #expect(cache.packet(1) == nil)
        #expect(cache.packet(2).map { Array($0.payload) } == [2, 2, 2, 2])
        #expect(cache.packet(3).map { Array($0.payload) } == [3, 3, 3, 3])
    }

    @Test("a ring that outlasts the retention begins anew, and keeps what is younger than that")
    func retention() {
        var cache = PacketCache(packetCount: 64, byteCount: 400)
        // Ten bytes every 100 ms: a lap of the whole ring would take 4 s.
        for number in Int64(0)..<30 {
            let time = UInt64(number) * 100
            Self.store(number, [UInt8](repeating: UInt8(number), count: 10), atMilliseconds: time, in: &cache)
            for age in Int64(0)..<min(10, number + 1) {
                #expect(cache.packet(number - age).map { $0.payload[0] } == UInt8(number - age))
            }
        }
        #expect(cache.packet(18) == nil)
    }

    @Test("packets too large for the ring or for their length fields are not kept, and do no harm")
    func tooLarge() {
        var cache = PacketCache(packetCount: 4, byteCount: 400)
        Self.store(1, [1], in: &cache)
        Self.store(2, [UInt8](repeating: 2, count: 401), in: &cache)
        Self.store(3, [3], descriptor: [UInt8](repeating: 3, count: 256), in: &cache)
        #expect(cache.packet(1) != nil)
        #expect(cache.packet(2) == nil)
        #expect(cache.packet(3) == nil)
    }

    @Test("what the cache returns is always what was stored under that number", arguments: [UInt64(1), 2, 3, 4])
    func property(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var cache = PacketCache(packetCount: 32, byteCount: 500)
        var stored: [Int64: [UInt8]] = [:]
        var number = Int64.random(in: 0...100_000, using: &generator)
        var found = 0
        for _ in 0..<5_000 {
            let payload = (0..<Int.random(in: 1...60, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            Self.store(number, payload, in: &cache)
            stored[number] = payload
            #expect(cache.packet(number).map { Array($0.payload) } == payload)
            let asked = number - Int64.random(in: 0..<64, using: &generator)
            if let packet = cache.packet(asked) {
                found += 1
                try #require(stored[asked] == Array(packet.payload), "number \(asked), seed \(seed)")
            }
            number += Int64.random(in: 1...3, using: &generator)
        }
        #expect(found > 100)
    }
}
