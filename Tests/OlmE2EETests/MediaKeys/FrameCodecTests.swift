// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import OlmE2EE

@Suite("The clear part of encoded frames")
struct FrameCodecTests {
    @Test(
        "what stays clear",
        arguments: [
            (FrameCodec.opus, 1), (.vp8, 10), (.vp9, 0), (.unknown(isKeyFrame: true), 10),
            (.unknown(isKeyFrame: false), 3),
        ])
    func counts(codec: FrameCodec, count: Int) {
        #expect(codec.clearByteCount(of: [UInt8](repeating: 0, count: 20)) == count)
    }

    @Test("VP8 key frames have bit 0 clear, RFC 6386 §9.1")
    func vp8() {
        #expect(FrameCodec.vp8.clearByteCount(of: [0x10] + [UInt8](repeating: 0, count: 20)) == 10)
        #expect(FrameCodec.vp8.clearByteCount(of: [0x11] + [UInt8](repeating: 0, count: 20)) == 3)
    }

    @Test("a frame shorter than that has none")
    func short() {
        #expect(FrameCodec.vp8.clearByteCount(of: [0x10, 0, 0]) == nil)
        #expect(FrameCodec.vp8.clearByteCount(of: []) == nil)
        #expect(FrameCodec.opus.clearByteCount(of: []) == nil)
        #expect(FrameCodec.h264.clearByteCount(of: [0, 0, 1, 0x65]) == nil)
    }

    @Test("H.264 is clear up to the first slice's second byte")
    func h264() {
        let parameterSets: [UInt8] = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3]
        #expect(FrameCodec.h264.clearByteCount(of: parameterSets + [0, 0, 1, 0x65, 9, 9, 9]) == 18)
        #expect(FrameCodec.h264.clearByteCount(of: [0, 0, 0, 1, 0x41, 9, 9]) == 6)
        #expect(FrameCodec.h264.clearByteCount(of: parameterSets) == nil)
        #expect(FrameCodec.h264.clearByteCount(of: [0, 0, 1]) == nil)
    }

    @Test("H.265 too")
    func h265() {
        let parameterSet: [UInt8] = [0, 0, 0, 1, 0x40, 1, 2]
        #expect(FrameCodec.h265.clearByteCount(of: parameterSet + [0, 0, 1, 0x26, 1, 9]) == 12)
        #expect(FrameCodec.h265.clearByteCount(of: parameterSet) == nil)
    }

    @Test(
        "emulation prevention, H.264 §7.4.1",
        arguments: [
            ("000000", "00000300"), ("000001", "00000301"), ("000003", "00000303"), ("000004", "000004"),
            ("00000000000000", "000003000003000003" + "00"), ("000100020003", "000100020003"), ("", ""),
        ])
    func emulationPrevention(plain: String, escaped: String) {
        #expect(hexadecimal(EmulationPrevention.insert(into: bytes(plain))) == escaped)
        #expect(hexadecimal(EmulationPrevention.remove(from: bytes(escaped))) == plain)
    }

    @Test("no start code survives, and the bytes come back", arguments: 0..<64)
    func emulationRoundTrip(seed: UInt64) {
        var state = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let plain = (0..<500).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 60) & 3
        }
        let escaped = EmulationPrevention.insert(into: plain)
        #expect(EmulationPrevention.remove(from: escaped) == plain)
        for index in 2..<escaped.count where escaped[index - 2] == 0 && escaped[index - 1] == 0 {
            #expect(escaped[index] >= 3)
        }
    }
}
