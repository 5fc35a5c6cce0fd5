// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import COpenSSLShims
import Testing

@testable import OlmE2EE

@Suite("Frames that a server puts in")
struct ServerFramesTests {
    private let trailer: [UInt8] = Array(100..<116)

    private func ring() throws -> MediaKeyRing {
        var ring = MediaKeyRing(serverFrames: ServerFrames(trailer: trailer))
        try ring.insert(MediaKey(bytes: Array(0..<16)), at: 0)
        return ring
    }

    @Test("E2: with a known content it passes as it is, without a key, and its trailer is gone")
    func e2KnownContent() throws {
        var keyless = MediaKeyRing(serverFrames: ServerFrames(trailer: trailer))
        var ring = try ring()
        for blank in ServerFrames.blanks {
            #expect(try ring.open(blank + trailer, codec: .opus) == blank)
            #expect(try keyless.open(blank + trailer, codec: .vp8) == blank)
        }
    }

    @Test("E2: with any other content it is dropped, and costs no trust in the key")
    func e2OtherContent() throws {
        var ring = try ring()
        var sealer = try FrameSealer(key: MediaKey(bytes: Array(0..<16)), keyIndex: 0, ssrc: 1, counter: 0)
        let sealed = try sealer.seal([0x78, 1, 2, 3], codec: .opus, timestamp: 1)
        let silence = ServerFrames.opusSilence
        let contents: [[UInt8]] = [
            [], [0], silence.dropLast(), silence + [0], [0xF8, 0xFF, 0xFD] + silence.dropFirst(3), [0x78, 1, 2, 3],
            sealed, ServerFrames.h264Sequence + ServerFrames.h264Picture,
        ]
        for content in contents {
            for _ in 0..<2 * MediaKeyRing.failureTolerance {
                #expect(throws: FrameRefusal.serverContent) { try ring.open(content + trailer, codec: .opus) }
            }
        }
        #expect(try ring.open(sealed, codec: .opus) == [0x78, 1, 2, 3])
    }

    @Test("without the whole trailer, or in a room without one, it is a frame like others")
    func noTrailer() throws {
        var ring = try ring()
        let silence = ServerFrames.opusSilence
        for frame in [silence, silence + trailer.dropLast(), silence + trailer.dropFirst(), silence + trailer + [0]] {
            let refusal = #expect(throws: FrameRefusal.self) { try ring.open(frame, codec: .opus) }
            #expect(refusal != .serverContent)
        }
        for trailer in [[], [UInt8](repeating: 1, count: ServerFrames.maximumTrailerByteCount + 1)] {
            var ring = MediaKeyRing(serverFrames: ServerFrames(trailer: trailer))
            let refusal = #expect(throws: FrameRefusal.self) { try ring.open(silence + trailer, codec: .opus) }
            #expect(refusal != .serverContent)
        }
    }

    @Test("the blank contents are those that clients know, by their digests")
    func digests() {
        let digests = ServerFrames.blanks.map { blank in
            var digest = [UInt8](repeating: 0, count: 32)
            #expect(COpenSSLShims_sha256(blank, blank.count, &digest) == 1)
            return hexadecimal(digest)
        }
        #expect(
            digests == [
                "aad8d31fc56b2802ca500e58c2fb9d0b29ad71bb7cb52cd6530251eade188988",
                "ef0161653d8b2b23aad46624b420af1d03ce48950e9fc85718028f91b50f9219",
                "f0a0e09647d891d6d50aa898bce7108090375d0d55e50a2bb21147afee558e44",
                "61d9665eed71b6d424ae9539330a3bdd5cb386d4d781c808219a6e36750493a7",
                "faffc26b68a2fc09096fa20f3351e706398b6f838a7500c8063472c2e476e90d",
            ])
    }
}
