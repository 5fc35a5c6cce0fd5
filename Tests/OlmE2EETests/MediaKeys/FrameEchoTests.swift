// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("Frames sent back under our key")
struct FrameEchoTests {
    private let trailer: [UInt8] = Array(1...16)
    private let plain: [UInt8] = [0x78] + Array("hello".utf8)

    private func key(_ byte: UInt8, index: UInt8 = 0) throws -> NumberedMediaKey {
        NumberedMediaKey(index: index, key: try MediaKey(bytes: [UInt8](repeating: byte, count: 16)))
    }

    /// Has keys of alice and bob, and one of its own.
    private func echo() throws -> FrameEcho {
        var echo = FrameEcho { 7 }
        try echo.install(key(1), of: "alice")
        echo.serverFrames = ServerFrames(trailer: trailer)
        try echo.install(key(2, index: 9), of: "bob")
        echo.use(try key(3, index: 4))
        return echo
    }

    private func sealed(_ key: NumberedMediaKey, timestamp: UInt32 = 1) throws -> [UInt8] {
        var sealer = try FrameSealer(key: key.key, keyIndex: key.index, ssrc: 77, counter: 0)
        return try sealer.seal(plain, codec: .opus, timestamp: timestamp)
    }

    @Test("each sender's frame is opened with its key, sealed with ours, and as long as before")
    func echoes() throws {
        var echo = try echo()
        var ring = MediaKeyRing()
        try ring.insert(key(3).key, at: 4)
        for (number, key) in [try key(1), try key(2, index: 9), try key(1)].enumerated() {
            var frame = try sealed(key)
            let byteCount = frame.count
            frame = try echo.seal(
                echo.open(frame, from: UInt32(number)), as: 5, at: UInt32(number) * 960)
            #expect(frame.count == byteCount && frame.last == 4)
            #expect(try ring.open(frame, codec: .opus) == plain)
        }
        #expect(try echo.open(ServerFrames.opusSilence + trailer, from: 0) == ServerFrames.opusSilence)
        #expect(try echo.open([], from: 99).isEmpty && echo.seal([], as: 5, at: 1_920).isEmpty)
    }

    @Test("a new key of ours is used from the next frame on, and no nonce of one key comes twice")
    func rotation() throws {
        var echo = try echo()
        var nonces: Set<[UInt8]> = []
        for round: UInt8 in 0..<4 {
            for number: UInt32 in 0..<100 {
                let frame = try echo.seal(plain, as: number % 4, at: number / 8)
                #expect(nonces.insert(Array(frame.suffix(14))).inserted)
            }
            echo.use(try key(10 + round, index: 5 + round))
        }
    }

    @Test("without a key of the sender, or of ours, nothing goes out")
    func refusals() throws {
        var echo = try echo()
        #expect(refusal(of: try sealed(key(5)), from: 1, by: &echo) == .unknownSender)
        #expect(refusal(of: try sealed(key(1)), from: 1, by: &echo) == nil)
        // The stream is known from here on.
        #expect(refusal(of: try sealed(key(1, index: 1)), from: 1, by: &echo) == .unknownKey(index: 1))
        #expect(refusal(of: try sealed(key(2, index: 0)), from: 1, by: &echo) == .authentication)
        #expect(refusal(of: plain, from: 1, by: &echo) == .unknownKey(index: plain.last ?? 0))
        #expect(refusal(of: [1, 0], from: 1, by: &echo) == .tooShort(byteCount: 2))
        #expect(refusal(of: plain + trailer, from: 1, by: &echo) == .serverContent)
        #expect(refusal(of: try sealed(key(1)), from: 1, by: &echo) == nil)
        echo.forget("alice")
        #expect(refusal(of: try sealed(key(1)), from: 1, by: &echo) == .unknownSender)

        for ssrc: UInt32 in 100..<115 {
            #expect(refusal(of: try sealed(key(2, index: 9)), from: 2, as: ssrc, by: &echo) == nil)
        }
        #expect(refusal(of: try sealed(key(2, index: 9)), from: 2, as: 200, by: &echo) == .tooManyStreams)

        echo = FrameEcho { 7 }
        try echo.install(key(1), of: "alice")
        #expect(refusal(of: try sealed(key(1)), from: 1, by: &echo) == .noOwnKey)
    }

    @Test("a stream that goes to somebody else is found again once its key is not trusted any more")
    func reusedStream() throws {
        var echo = try echo()
        #expect(refusal(of: try sealed(key(1)), from: 1, by: &echo) == nil)
        try echo.install(key(6), of: "carol")
        let frame = try sealed(key(6))
        for _ in 0..<MediaKeyRing.failureTolerance {
            #expect(refusal(of: frame, from: 1, by: &echo) == .authentication)
        }
        #expect(refusal(of: frame, from: 1, by: &echo) == .distrustedKey(index: 0))
        #expect(refusal(of: frame, from: 1, by: &echo) == nil)
    }

    @Test("who sends on somebody's frames, and then noise, or frames of the next key, shuts out only himself")
    func replayedFrames() throws {
        var echo = try echo()
        let frame = try sealed(key(1))
        #expect(refusal(of: frame, from: 1, by: &echo) == nil)
        #expect(refusal(of: frame, from: 666, by: &echo) == nil, "nobody can tell yet")
        var noise = frame
        noise[2] ^= 1
        for _ in 0..<MediaKeyRing.failureTolerance {
            #expect(refusal(of: noise, from: 666, by: &echo) == .authentication)
        }
        #expect(refusal(of: noise, from: 666, by: &echo) == .distrustedKey(index: 0))
        #expect(refusal(of: frame, from: 1, by: &echo) == nil)
        #expect(refusal(of: frame, from: 2, by: &echo) == nil, "nor is alice's next track shut out")

        // Whoever holds a key can make those that follow.
        #expect(refusal(of: frame, from: 667, by: &echo) == nil)
        let next = NumberedMediaKey(index: 0, key: try key(1).key.ratcheted())
        #expect(refusal(of: try sealed(next), from: 667, by: &echo) == nil)
        #expect(refusal(of: frame, from: 1, by: &echo) == nil)
        #expect(refusal(of: frame, from: 3, by: &echo) == nil)
    }

    @Test("a stream of nobody is tried seldom, and at once when a key came; streams that ended are forgotten")
    func unknownStreams() throws {
        var echo = try echo()
        let frame = try sealed(key(8))
        for _ in 0..<5 { #expect(refusal(of: frame, from: 1, by: &echo) == .unknownSender) }
        // Bob's, who could be found were it tried.
        let bob = try sealed(key(2, index: 9))
        #expect(refusal(of: bob, from: 1, by: &echo) == .unknownSender)
        var tries = 1
        while tries < 100, refusal(of: bob, from: 1, by: &echo) != nil { tries += 1 }
        #expect((40..<60).contains(tries))
        for _ in 0..<10 { #expect(refusal(of: frame, from: 2, by: &echo) == .unknownSender) }
        try echo.install(key(8), of: "carol")
        #expect(refusal(of: frame, from: 2, by: &echo) == nil)
        #expect(refusal(of: bob, from: 2, by: &echo) == .unknownKey(index: 9))
        echo.keep([1])
        #expect(refusal(of: bob, from: 2, by: &echo) == nil)
    }

    @Test("a frame cut anywhere, or with any byte changed, is refused")
    func hostile() throws {
        var echo = try echo()
        let frame = try sealed(key(1))
        for length in 1..<frame.count {
            #expect(refusal(of: Array(frame.prefix(length)), from: UInt32(length), by: &echo) == .unknownSender)
        }
        for offset in frame.indices {
            var changed = frame
            changed[offset] ^= 0x20
            #expect(refusal(of: changed, from: UInt32(offset), by: &echo) == .unknownSender)
        }
        #expect(refusal(of: frame, from: 1, by: &echo) == nil)
        for stream in UInt32.min..<2_000 {
            #expect(refusal(of: frame, from: stream, by: &echo) == nil)
        }
    }

    private func refusal(
        of frame: [UInt8], from stream: UInt32, as ssrc: UInt32 = 5, by echo: inout FrameEcho,
    ) -> FrameRefusal? {
        do throws(FrameRefusal) {
            _ = try echo.seal(echo.open(frame, from: stream), as: ssrc, at: 1)
            return nil
        } catch {
            return error
        }
    }
}
