// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("AV1 aggregation header")
struct AV1AggregationHeaderTests {
    @Test("every field")
    func fields() throws {
        let header = try [0x68 as UInt8].withUnsafeBytes { try AV1AggregationHeader(reading: $0) }
        #expect(!header.continuesUnit && header.isContinued && header.unitCount == 2 && header.startsCodedSequence)
    }

    @Test(
        "only N without Z starts a sequence; what looks like a sequence header does not",
        arguments: [([0x08], true), ([0x88], false), ([0x10, 0x0A], false), ([], false)] as [([UInt8], Bool)])
    func keyFrame(payload: [UInt8], isKey: Bool) {
        #expect(payload.withUnsafeBytes { VideoCodec.av1.isKeyFrame($0) } == isKey)
    }
}
