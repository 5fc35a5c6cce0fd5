// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("H264 payload, RFC 6184 §5")
struct H264PayloadTests {
    /// An aggregate of SPS, PPS and IDR.
    static let aggregate: [UInt8] = [0x78, 0, 2, 0x67, 1, 0, 1, 0x68, 0, 3, 0x65, 2, 3]

    @Test(
        "key frames start with an IDR slice or a parameter set, alone, aggregated or as the first fragment",
        arguments: [
            ([0x65, 1], true), ([0x67, 1], true), ([0x68, 1], false), ([0x41, 1], false), ([0x06, 1], false),
            (aggregate, true), ([0x78, 0, 1, 0x41, 0, 1, 0x41], false), ([0x78, 0, 1, 0x41, 0, 1, 0x65], true),
            ([0x7C, 0x85, 1], true), ([0x7C, 0x05, 1], false), ([0x7C, 0x45, 1], false), ([0x5C, 0x81, 1], false),
            ([0x7D, 0x85], false), ([], false), ([0x00], false),
        ] as [([UInt8], Bool)])
    func keyFrame(payload: [UInt8], isKey: Bool) {
        #expect(payload.withUnsafeBytes { VideoCodec.h264.isKeyFrame($0) } == isKey)
    }

    @Test("a fragment that is not the first starts nothing")
    func continuation() {
        #expect([0x7C as UInt8, 0x85].withUnsafeBytes { VideoCodec.h264.startsFrame($0) })
        #expect(![0x7C as UInt8, 0x05].withUnsafeBytes { VideoCodec.h264.startsFrame($0) })
        #expect([0x41 as UInt8].withUnsafeBytes { VideoCodec.h264.startsFrame($0) })
    }

    @Test("an aggregate cut inside is refused", arguments: [0, 2, 3, 4, 6, 10, 11])
    func truncated(length: Int) {
        #expect(throws: ByteReaderError.self) {
            try Self.aggregate[..<length].withUnsafeBytes { _ = try H264Payload(reading: $0) }
        }
    }
}
