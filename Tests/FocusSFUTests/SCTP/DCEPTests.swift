// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("Data channel establishment, RFC 8832 §5")
struct DCEPTests {
    /// OPEN for "_lossy" with protocol "p", unordered, no retransmission.
    static let open: [UInt8] =
        [0x03, 0x81, 0x01, 0x00, 0, 0, 0, 0, 0, 6, 0, 1] + Array("_lossyp".utf8)

    private func parse(_ bytes: [UInt8]) throws -> DCEPMessage {
        try bytes.withUnsafeBytes { try DCEPMessage($0) }
    }

    @Test("an announcement byte by byte")
    func vector() throws {
        let parameters = DataChannelParameters(
            label: "_lossy", subprotocol: "p", ordered: false, reliability: .maxRetransmits(0), priority: 256)
        #expect(try parse(Self.open) == .open(parameters))
        #expect(DCEPMessage.open(parameters).bytes == Self.open)
        #expect(try parse([0x02]) == .acknowledgement)
        #expect(DCEPMessage.acknowledgement.bytes == [0x02])
    }

    @Test(
        "every kind of channel comes back as it went",
        arguments: [true, false], [SCTPReliability.reliable, .maxRetransmits(3), .maxLifetimeMilliseconds(250)])
    func roundTrip(ordered: Bool, reliability: SCTPReliability) throws {
        let parameters = DataChannelParameters(
            label: "lábel", ordered: ordered, reliability: reliability, priority: 512)
        #expect(try parse(DCEPMessage.open(parameters).bytes) == .open(parameters))
    }

    @Test("each truncation is refused", arguments: 0..<19)
    func truncated(length: Int) {
        #expect(throws: DCEPError.self) { try parse(Array(Self.open.prefix(length))) }
    }

    @Test("what is wrong is named")
    func refusals() {
        #expect(throws: DCEPError.unknownMessageType(9)) { try parse([9]) }
        #expect(throws: DCEPError.trailingBytes(1)) { try parse([2, 0]) }
        #expect(throws: DCEPError.trailingBytes(1)) { try parse(Self.open + [0]) }
        var changed = Self.open
        changed[1] = 0x05
        #expect(throws: DCEPError.unknownChannelType(5)) { try parse(changed) }
        changed = Self.open
        changed[12] = 0xFF
        #expect(throws: DCEPError.textNotUTF8) { try parse(changed) }
        changed = Self.open
        changed[8] = 0x10
        #expect(throws: DCEPError.textTooLong(0x1006)) { try parse(changed) }
    }

    @Test("changed messages are refused or read, never trapped")
    func mutations() {
        for bytes in MutatedBytes(of: Self.open, seed: 1) { _ = try? parse(bytes) }
    }
}
