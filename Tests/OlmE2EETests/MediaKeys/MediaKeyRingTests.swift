// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("The keys of a participant")
struct MediaKeyRingTests {
    private let plain: [UInt8] = [0x78, 1, 2, 3]

    private func key(_ byte: UInt8) throws -> MediaKey {
        try MediaKey(bytes: [UInt8](repeating: byte, count: 16))
    }

    private func frame(_ key: MediaKey, index: UInt8) throws -> [UInt8] {
        var sealer = try FrameSealer(key: key, keyIndex: index, ssrc: 1, counter: 0)
        return try sealer.seal(plain, codec: .opus, timestamp: 1)
    }

    @Test("the frame names its key")
    func index() throws {
        var ring = MediaKeyRing()
        try ring.insert(key(1), at: 0)
        try ring.insert(key(2), at: 255)
        #expect(try ring.open(try frame(key(1), index: 0), codec: .opus) == plain)
        #expect(try ring.open(try frame(key(2), index: 255), codec: .opus) == plain)
        #expect(throws: FrameRefusal.unknownKey(index: 9)) { try ring.open(frame(key(1), index: 9), codec: .opus) }
        #expect(try ring.open([], codec: .opus).isEmpty)
    }

    @Test("a newer key takes the place of an older one; a participant that left has none")
    func replacement() throws {
        var ring = MediaKeyRing()
        try ring.insert(key(1), at: 0)
        try ring.insert(key(2), at: 0)
        #expect(throws: FrameRefusal.authentication) { try ring.open(frame(key(1), index: 0), codec: .opus) }
        #expect(try ring.open(try frame(key(2), index: 0), codec: .opus) == plain)
        ring.removeAll()
        #expect(!ring.hasKey(at: 0))
        #expect(throws: FrameRefusal.unknownKey(index: 0)) { try ring.open(frame(key(2), index: 0), codec: .opus) }
    }

    @Test("a sender that ratchets is followed for ten steps, and never back", arguments: [1, 10, 11])
    func ratchet(steps: Int) throws {
        var ring = MediaKeyRing()
        try ring.insert(key(1), at: 4)
        var ratcheted = try key(1)
        for _ in 0..<steps {
            ratcheted = try ratcheted.ratcheted()
        }
        let late = try frame(ratcheted, index: 4)
        guard steps <= MediaKeyRing.ratchetWindow else {
            #expect(throws: FrameRefusal.authentication) { try ring.open(late, codec: .opus) }
            return
        }
        #expect(try ring.open(late, codec: .opus) == plain)
        #expect(throws: FrameRefusal.authentication) { try ring.open(frame(key(1), index: 4), codec: .opus) }
        #expect(try ring.open(late, codec: .opus) == plain)
    }

    @Test("ten failures in a row end the trust in a key, until a new one comes")
    func distrust() throws {
        var ring = MediaKeyRing()
        try ring.insert(key(1), at: 0)
        let noise = try frame(key(2), index: 0)
        let good = try frame(key(1), index: 0)
        for _ in 0..<9 {
            #expect(throws: FrameRefusal.authentication) { try ring.open(noise, codec: .opus) }
        }
        #expect(try ring.open(good, codec: .opus) == plain)
        for _ in 0..<10 {
            #expect(throws: FrameRefusal.authentication) { try ring.open(noise, codec: .opus) }
        }
        #expect(throws: FrameRefusal.distrustedKey(index: 0)) { try ring.open(good, codec: .opus) }
        try ring.insert(key(1), at: 0)
        #expect(try ring.open(good, codec: .opus) == plain)
    }
}
