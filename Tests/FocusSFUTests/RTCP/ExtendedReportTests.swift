// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Extended reports, RFC 3611 §4.4 and §4.5")
struct ExtendedReportTests {
    static let bytes: [UInt8] = [
        0x80, 207, 0, 8, 0, 0, 0, 1,
        4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8,  // receiver reference time
        5, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4,  // DLRR
    ]

    @Test("both blocks, byte by byte")
    func roundTrip() throws {
        let report = try RTCPCompoundTests.only(Self.bytes) { try ExtendedReport(reading: $0) }
        #expect(
            report
                == ExtendedReport(
                    sender: 1, receiverReferenceTime: 0x0102_0304_0506_0708,
                    delays: [.init(ssrc: 2, lastReference: 3, delay: 4)]))
        var writer = ByteWriter()
        report.write(into: &writer)
        #expect(writer.bytes == Self.bytes)
    }

    @Test("other blocks are stepped over, blocks that overrun refused")
    func otherBlocks() throws {
        let unknown: [UInt8] = [0x80, 207, 0, 4, 0, 0, 0, 1, 42, 0, 0, 1, 9, 9, 9, 9, 4, 0, 0, 0]
        #expect(throws: RTCPError.self) { try RTCPCompoundTests.only(unknown) { _ = try ExtendedReport(reading: $0) } }
        let plain: [UInt8] = [0x80, 207, 0, 3, 0, 0, 0, 1, 42, 0, 0, 1, 9, 9, 9, 9]
        #expect(try RTCPCompoundTests.only(plain) { try ExtendedReport(reading: $0) } == ExtendedReport(sender: 1))
        let overrun: [UInt8] = [0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 2]
        #expect(throws: RTCPError.self) { try RTCPCompoundTests.only(overrun) { _ = try ExtendedReport(reading: $0) } }
    }
}
