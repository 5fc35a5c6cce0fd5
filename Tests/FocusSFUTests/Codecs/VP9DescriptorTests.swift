// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("VP9 payload descriptor, RFC 9628 §4.2")
struct VP9DescriptorTests {
    static let full: [UInt8] = [
        0xAF,  // I, L, B, E, V, Z
        0x81, 0x02,  // M, picture ID 0x0102
        0x73,  // TID 3, U, SID 1, D
        0x44,  // TL0PICIDX
    ]

    @Test("every field")
    func fields() throws {
        let descriptor = try Self.full.withUnsafeBytes { try VP9Descriptor(reading: $0) }
        #expect(!descriptor.isInterPredicted && descriptor.startsFrame && descriptor.endsFrame)
        #expect(descriptor.hasScalabilityStructure && descriptor.isNotReferencedAbove)
        #expect(descriptor.pictureID == 0x0102)
        #expect(descriptor.temporalLayer == 3 && descriptor.isSwitchingUpPoint)
        #expect(descriptor.spatialLayer == 1 && descriptor.isInterLayerPredicted)
        #expect(descriptor.temporalLevelZeroIndex == 0x44)
        #expect(!descriptor.startsKeyFrame)
    }

    @Test(
        "a key frame starts in the lowest layer of a picture that depends on none",
        arguments: [
            ([0x08], true), ([0x48], false), ([0x04], false), ([0x28, 0x00, 0], true), ([0x28, 0x02, 0], false),
            ([0x38, 0xE0], true), ([0x28, 0x00], false), ([], false),
        ] as [([UInt8], Bool)])
    func keyFrame(payload: [UInt8], isKey: Bool) {
        #expect(payload.withUnsafeBytes { VideoCodec.vp9.isKeyFrame($0) } == isKey)
    }

    @Test("a descriptor cut anywhere is refused", arguments: 0..<5)
    func truncated(length: Int) {
        #expect(throws: ByteReaderError.self) {
            try Self.full[..<length].withUnsafeBytes { _ = try VP9Descriptor(reading: $0) }
        }
    }
}
