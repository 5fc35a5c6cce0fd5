// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc
import Testing

@testable import FocusSFU

@Suite("Datagrams waiting to be sent")
struct EgressBatchTests {
    private static func survivors(_ priorities: [EgressBatch.Priority], from first: Int) -> [Int] {
        var left = InlineArray<128, Bool>(repeating: false)
        for index in first..<priorities.count { left[index] = true }
        // As many as there are slots.
        let all = priorities + Array(repeating: .video, count: left.count - priorities.count)
        let kept = all.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { EgressBatch.survivors(of: left, priorities: $0) }
        }
        guard let kept else { return [] }
        return priorities.indices.filter { kept[$0] }
    }

    @Test("when not all can be sent, video gives way, pictures that others depend on last")
    func order() {
        #expect(Self.survivors([.video, .audio, .video, .keyFrame, .control, .audio], from: 1) == [1, 3, 4, 5])
        let crowded =
            [EgressBatch.Priority](repeating: .keyFrame, count: 60)
            + [EgressBatch.Priority](repeating: .audio, count: 60) + [.control, .control]
        let kept = Self.survivors(crowded, from: 0)
        #expect(kept.count == EgressBatch.waitingLimit)
        #expect(kept.count { crowded[$0] == .audio } == 60)
        #expect(kept.count { crowded[$0] == .control } == 2)
        #expect(kept.prefix(2) == [0, 1])
        #expect(Self.survivors([.video, .video], from: 0).isEmpty)
    }

    /// A socket that sends to another one over loopback.
    private final class Link {
        let receiver: Int32
        let sender: Int32
        let peer: NetworkAddress
        let batch: EgressBatch

        init() throws {
            var port: UInt16 = 0
            receiver = CDatagramIO_open(0, 0x0000_FFFF_7F00_0001, 0, 1 << 20, &port)
            try #require(receiver >= 0)
            peer = NetworkAddress(high: 0, low: 0x0000_FFFF_7F00_0001, port: port)
            var ownPort: UInt16 = 0
            sender = CDatagramIO_open(0, 0x0000_FFFF_7F00_0001, 0, 1 << 20, &ownPort)
            try #require(sender >= 0)
            let made = EgressBatch(socket: sender)
            batch = try #require(made)
        }

        deinit {
            batch.release()
            close(sender)
            close(receiver)
        }

        /// The datagrams that have come, in order.
        func received() -> [[UInt8]] {
            var datagrams: [[UInt8]] = []
            var buffer = [UInt8](repeating: 0, count: 2_048)
            while true {
                let count = recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                guard count > 0 else { return datagrams }
                datagrams.append(Array(buffer.prefix(count)))
            }
        }
    }

    /// As much of an RTP packet as the batch looks at, and a number to know it by.
    private static func packet(stream: UInt8, number: UInt8, length: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: length)
        bytes[0] = 0x80
        bytes[11] = stream
        bytes[12] = number
        return bytes
    }

    @Test("what is committed arrives in order; an unreachable destination costs the others nothing and is counted")
    func delivery() throws {
        let link = try Link()
        // A socket bound to loopback cannot send to another network.
        let nowhere = NetworkAddress(high: 0, low: 0x0000_FFFF_C000_0201, port: 9)
        for number in UInt8(0)..<40 {
            link.batch.append([number, number], to: link.peer, from: .unspecified)
            if number % 10 == 5 { link.batch.append([0xFF], to: nowhere, from: .unspecified) }
        }
        link.batch.flush()
        #expect(link.batch.datagramsSent == 40)
        #expect(link.batch.drops[.sendUnreachable] == 4)
        #expect(link.received().map { $0[0] } == Array(0..<40))
    }

    @Test("packets of one size for one destination share a message, of whatever streams they are")
    func streamsShareMessages() throws {
        let link = try Link()
        let other = try Link()
        for stream in UInt8(1)...5 {
            link.batch.append(Self.packet(stream: stream, number: 0, length: 200), to: link.peer, from: .unspecified)
            link.batch.append(Self.packet(stream: stream, number: 0, length: 200), to: other.peer, from: .unspecified)
        }
        link.batch.flush()
        #expect(link.batch.messagesSent == 2)
        #expect(link.received().map { $0[11] } == [1, 2, 3, 4, 5])
        #expect(other.received().map { $0[11] } == [1, 2, 3, 4, 5])
    }

    @Test("sound and video between each other make two messages, and every stream keeps its order", arguments: 0..<20)
    func streamsKeepTheirOrder(seed: UInt64) throws {
        let link = try Link()
        var random = SeededGenerator(seed: seed)
        var sent: [UInt8: [UInt8]] = [:]
        for number in UInt8(0)..<120 {
            let stream = UInt8.random(in: 1...6, using: &random)
            // Even ones are sound; frames of the odd ones end with a shorter packet.
            let length =
                stream % 2 == 0
                ? 200 : Bool.random(using: &random) ? 1_100 : Int.random(in: 300..<1_100, using: &random)
            sent[stream, default: []].append(number)
            link.batch.append(
                Self.packet(stream: stream, number: number, length: length), to: link.peer, from: .unspecified)
        }
        link.batch.flush()
        #expect(link.batch.datagramsSent == 120)
        #expect(link.batch.messagesSent < 100)
        #expect(Dictionary(grouping: link.received(), by: { $0[11] }).mapValues { $0.map { $0[12] } } == sent)
    }
}
