// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Video codecs")
struct VideoCodecTests {
    @Test("mutated payloads never trap", arguments: VideoCodec.allCases)
    func mutations(codec: VideoCodec) {
        for vector in [VP8DescriptorTests.full, VP9DescriptorTests.full, H264PayloadTests.aggregate, [0x7C, 0x85, 1]] {
            for bytes in MutatedBytes(of: vector, seed: 7741, count: 2000) {
                bytes.withUnsafeBytes { payload in
                    if codec.isKeyFrame(payload) { #expect(!payload.isEmpty) }
                    _ = codec.startsFrame(payload)
                }
            }
        }
    }

    @Test("what frame encryption hides changes no answer")
    func encrypted() {
        var generator = SeededGenerator(seed: 510)
        for _ in 0..<500 {
            let noise = (0..<40).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Clear: the descriptor and 3 bytes of VP8, the descriptor of VP9, the slice's NAL unit header, the AV1
            // header.
            #expect(!([0x10, 0x11, 0, 0] + noise).withUnsafeBytes { VideoCodec.vp8.isKeyFrame($0) })
            #expect(!([0x48] + noise).withUnsafeBytes { VideoCodec.vp9.isKeyFrame($0) })
            #expect(!([0x41] + noise).withUnsafeBytes { VideoCodec.h264.isKeyFrame($0) })
            #expect(!([0x10] + noise).withUnsafeBytes { VideoCodec.av1.isKeyFrame($0) })
            #expect(([0x10, 0x10, 0, 0] + noise).withUnsafeBytes { VideoCodec.vp8.isKeyFrame($0) })
            #expect(([0x7C, 0x85] + noise).withUnsafeBytes { VideoCodec.h264.isKeyFrame($0) })
        }
    }
}
