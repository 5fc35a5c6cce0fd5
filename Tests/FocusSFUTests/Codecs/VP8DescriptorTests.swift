// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("VP8 payload descriptor, RFC 7741 §4.2")
struct VP8DescriptorTests {
    /// Every optional field; then a key frame's payload header.
    static let full: [UInt8] = [
        0x90,  // X, S, partition 0
        0xF0,  // I, L, T, K
        0x92, 0x34,  // M, picture ID 0x1234
        0x56,  // TL0PICIDX
        0xA7,  // TID 2, Y, KEYIDX 7
        0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A,  // P 0
    ]

    @Test("every field")
    func fields() throws {
        try Self.full.withUnsafeBytes { bytes in
            let descriptor = try VP8Descriptor(reading: bytes)
            #expect(descriptor.startsPartition && descriptor.partition == 0 && !descriptor.isNonReference)
            #expect(descriptor.pictureID == 0x1234 && descriptor.hasLongPictureID && descriptor.pictureIDOffset == 2)
            #expect(descriptor.temporalLevelZeroIndex == 0x56)
            #expect(descriptor.temporalLayer == 2 && descriptor.isLayerSync)
            #expect(descriptor.keyIndex == 7)
            #expect(descriptor.byteCount == 6)
            #expect(descriptor.isKeyFrame(bytes))
        }
    }

    @Test("a short picture ID, and K without T")
    func short() throws {
        let bytes: [UInt8] = [0xA1, 0x90, 0x7F, 0xFF, 0x00]
        try bytes.withUnsafeBytes { bytes in
            let descriptor = try VP8Descriptor(reading: bytes)
            #expect(descriptor.isNonReference && !descriptor.startsFrame && descriptor.partition == 1)
            #expect(descriptor.pictureID == 0x7F && !descriptor.hasLongPictureID)
            #expect(descriptor.temporalLayer == nil && !descriptor.isLayerSync && descriptor.keyIndex == 31)
            #expect(!descriptor.isKeyFrame(bytes))
        }
    }

    @Test(
        "only the first packet of a frame with P 0 is a key frame",
        arguments: [
            ([0x10, 0x00], true), ([0x10, 0x01], false), ([0x00, 0x00], false), ([0x11, 0x00], false), ([0x10], false),
        ] as [([UInt8], Bool)])
    func keyFrame(payload: [UInt8], isKey: Bool) {
        #expect(payload.withUnsafeBytes { VideoCodec.vp8.isKeyFrame($0) } == isKey)
    }

    @Test("a descriptor cut anywhere is refused", arguments: 0..<6)
    func truncated(length: Int) {
        #expect(throws: ByteReaderError.self) {
            try Self.full[..<length].withUnsafeBytes { _ = try VP8Descriptor(reading: $0) }
        }
    }
}
