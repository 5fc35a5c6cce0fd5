// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("Nonces of frames we send")
struct FrameSealerTests {
    private func sealer(counter: UInt32 = 0) throws -> FrameSealer {
        try FrameSealer(key: MediaKey(bytes: Array(0..<16)), keyIndex: 3, ssrc: 0xAABB_CCDD, counter: counter)
    }

    private func nonce(of frame: [UInt8]) -> String {
        hexadecimal(Array(frame.suffix(14).prefix(12)))
    }

    @Test("SSRC, timestamp, and timestamp less counter")
    func layout() throws {
        var sealer = try sealer(counter: 65_534)
        #expect(nonce(of: try sealer.seal([1], codec: .opus, timestamp: 0)) == "aabbccdd00000000ffff0002")
        #expect(nonce(of: try sealer.seal([1], codec: .opus, timestamp: 960)) == "aabbccdd000003c0000003c0")
        #expect(nonce(of: try sealer.seal([1], codec: .opus, timestamp: 1920)) == "aabbccdd000007800000077f")
    }

    @Test("no nonce comes twice, even when the timestamp stands still")
    func standstill() throws {
        var sealer = try sealer(counter: .max)
        var seen: Set<String> = []
        for _ in 0..<2000 {
            #expect(seen.insert(nonce(of: try sealer.seal([1], codec: .opus, timestamp: 7))).inserted)
        }
    }

    @Test("a timestamp that stands still for ever uses the key up")
    func endlessStandstill() throws {
        var sealer = try sealer()
        for _ in 0..<65_534 {
            _ = try sealer.seal([1], codec: .opus, timestamp: 7)
        }
        #expect(throws: FrameRefusal.keyExhausted) { try sealer.seal([1], codec: .opus, timestamp: 7) }
        _ = try sealer.seal([1], codec: .opus, timestamp: 8)
    }

    @Test("timestamps that went once around use the key up")
    func exhaustion() throws {
        var sealer = try sealer()
        for timestamp: UInt32 in [0xFFFF_0000, 0x4000_0000, 0x8000_0000, 0xFFFE_FFFF] {
            _ = try sealer.seal([1], codec: .opus, timestamp: timestamp)
        }
        #expect(throws: FrameRefusal.keyExhausted) { try sealer.seal([1], codec: .opus, timestamp: 0xFFFF_0000) }
    }

    @Test("timestamps never go back")
    func backwards() throws {
        var sealer = try sealer()
        _ = try sealer.seal([1], codec: .opus, timestamp: 100)
        #expect(throws: FrameRefusal.timestampWentBack) { try sealer.seal([1], codec: .opus, timestamp: 99) }
        _ = try sealer.seal([1], codec: .opus, timestamp: 100)
    }

    @Test("a frame without its clear part is refused and uses no counter")
    func refused() throws {
        var sealer = try sealer(counter: 1)
        #expect(throws: FrameRefusal.noClearHeader) { try sealer.seal([0x10], codec: .vp8, timestamp: 50) }
        #expect(nonce(of: try sealer.seal([1], codec: .opus, timestamp: 1)) == "aabbccdd0000000100000000")
    }
}
