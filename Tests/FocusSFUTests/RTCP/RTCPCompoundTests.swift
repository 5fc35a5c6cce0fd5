// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("RTCP datagrams, RFC 3550 §6.1 and RFC 5506")
struct RTCPCompoundTests {
    /// One of each packet written here, in one datagram.
    static let everything: [UInt8] = {
        var writer = ByteWriter()
        let block = ReportBlockTests.block
        SenderReport(ssrc: 1, ntp: 2, rtpTimestamp: 3, packetCount: 4, octetCount: 5, reportBlocks: [block])
            .write(into: &writer)
        ReceiverReport(ssrc: 1, reportBlocks: [block, block]).write(into: &writer)
        SourceDescription(chunks: [.init(ssrc: 1, canonicalName: "name")]).write(into: &writer)
        GenericNACK.write(sender: 1, media: 2, missing: [7, 9, 60], into: &writer)
        PictureLossIndication(sender: 1, media: 2).write(into: &writer)
        FullIntraRequest(sender: 1, entries: [.init(ssrc: 2, sequence: 3)]).write(into: &writer)
        ReceiverEstimatedMaxBitrate(sender: 1, bitrate: 1_000_000, streams: [2, 3]).write(into: &writer)
        ExtendedReport(sender: 1, receiverReferenceTime: 9, delays: [.init(ssrc: 1, lastReference: 2, delay: 3)])
            .write(into: &writer)
        _ = TransportFeedback.write(
            sender: 1, media: 2, base: 5, arrivals: [.init(sequence: 6, tick: 9)], feedbackCount: 0, into: &writer)
        Goodbye(sources: [1]).write(into: &writer)
        return writer.bytes
    }()

    static func kinds(_ bytes: [UInt8]) throws -> [RTCPPacket.Kind] {
        try bytes.withUnsafeBytes { try RTCPCompound($0).map(\.kind) }
    }

    /// Runs `use` with the single packet in `bytes`.
    static func only<Value>(_ bytes: [UInt8], _ use: (RTCPPacket) throws -> Value) throws -> Value {
        try bytes.withUnsafeBytes { datagram in
            let packets = Array(try RTCPCompound(datagram))
            #expect(packets.count == 1)
            return try use(try #require(packets.first))
        }
    }

    @Test("all kinds are told apart, in order")
    func kinds() throws {
        #expect(
            try Self.kinds(Self.everything) == [
                .senderReport, .receiverReport, .sourceDescription, .genericNACK, .pictureLossIndication,
                .fullIntraRequest, .applicationFeedback, .extendedReport, .transportFeedback, .goodbye,
            ])
        #expect(try Self.kinds([0x80, 204, 0, 0]) == [.other(type: 204)])
        #expect(try Self.kinds([0x82, 206, 0, 0]) == [.other(type: 206)])
    }

    @Test("a datagram counts whole or not at all: a cut anywhere but between packets is refused")
    func truncated() {
        var ends: Set<Int> = []
        var offset = 0
        while offset < Self.everything.count {
            offset += 4 * (Int(Self.everything[offset + 2]) << 8 | Int(Self.everything[offset + 3])) + 4
            ends.insert(offset)
        }
        for length in 0..<Self.everything.count where !ends.contains(length) {
            #expect(throws: RTCPError.self) { _ = try Self.kinds(Array(Self.everything[..<length])) }
        }
    }

    @Test("versions and packet types of others are refused")
    func foreign() {
        #expect(throws: RTCPError.version(1)) { _ = try Self.kinds([0x40, 200, 0, 0]) }
        #expect(throws: RTCPError.packetType(96)) { _ = try Self.kinds([0x80, 96, 0, 0]) }
    }

    @Test("padding is taken off the last packet, and allowed nowhere else")
    func padding() throws {
        let padded: [UInt8] = [0xA1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4]
        #expect(try Self.only(padded) { $0.body.count } == 8)
        #expect(try Self.only(padded) { try PictureLossIndication(reading: $0) } == .init(sender: 1, media: 2))
        #expect(throws: RTCPError.padding) { _ = try Self.kinds(padded + padded) }
        for last: UInt8 in [0, 3, 16, 255] {
            #expect(throws: RTCPError.padding) { _ = try Self.kinds(padded.dropLast() + [last]) }
        }
    }

    @Test("mutated datagrams never trap")
    func mutations() {
        for bytes in MutatedBytes(of: Self.everything, seed: 5506, count: 8000) {
            bytes.withUnsafeBytes { bytes in
                guard let compound = try? RTCPCompound(bytes) else { return }
                for packet in compound { Self.readAll(packet) }
            }
        }
    }

    @Test("packets with mutated bodies never trap, whatever their kind")
    func mutatedBodies() {
        for type: UInt8 in 200...207 {
            for format: UInt8 in [0, 1, 2, 4, 15, 31] {
                let packet: [UInt8] = [0x80 | format, type, 0, 9] + [UInt8](repeating: 1, count: 36)
                let mutations = MutatedBytes(of: packet, seed: UInt64(type) << 8 | UInt64(format), count: 200)
                for var bytes in mutations where bytes.count >= 4 {
                    bytes.removeLast(bytes.count % 4)
                    bytes.replaceSubrange(0..<4, with: [0x80 | format, type, 0, UInt8(bytes.count / 4 - 1)])
                    bytes.withUnsafeBytes { bytes in
                        guard let compound = try? RTCPCompound(bytes) else { return }
                        for packet in compound { Self.readAll(packet) }
                    }
                }
            }
        }
    }

    /// Reads a packet as every kind there is.
    static func readAll(_ packet: RTCPPacket) {
        _ = try? SenderReport(reading: packet)
        _ = try? ReceiverReport(reading: packet)
        _ = try? SourceDescription(reading: packet)
        _ = try? Goodbye(reading: packet)
        if let nack = try? GenericNACK(reading: packet) { #expect(nack.reduce(0) { sum, _ in sum + 1 } > 0) }
        _ = try? PictureLossIndication(reading: packet)
        _ = try? FullIntraRequest(reading: packet)
        _ = try? ReceiverEstimatedMaxBitrate(reading: packet)
        _ = try? ExtendedReport(reading: packet)
    }
}
