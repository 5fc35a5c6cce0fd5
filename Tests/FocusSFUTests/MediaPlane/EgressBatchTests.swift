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
        let kept = priorities.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { EgressBatch.survivors(of: first..<priorities.count, priorities: $0) }
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

    @Test("what is committed arrives in order; an unreachable destination costs the others nothing and is counted")
    func delivery() throws {
        var port: UInt16 = 0
        let receiver = CDatagramIO_open(0, 0x0000_FFFF_7F00_0001, 0, 1 << 20, &port)
        try #require(receiver >= 0)
        defer { close(receiver) }
        var ownPort: UInt16 = 0
        let socket = CDatagramIO_open(0, 0x0000_FFFF_7F00_0001, 0, 1 << 20, &ownPort)
        try #require(socket >= 0)
        defer { close(socket) }
        let made = EgressBatch(socket: socket)
        let batch = try #require(made)
        defer { batch.release() }
        let peer = NetworkAddress(high: 0, low: 0x0000_FFFF_7F00_0001, port: port)
        // A socket bound to loopback cannot send to another network.
        let nowhere = NetworkAddress(high: 0, low: 0x0000_FFFF_C000_0201, port: 9)
        for number in UInt8(0)..<40 {
            batch.append([number, number], to: peer, from: .unspecified)
            if number % 10 == 5 { batch.append([0xFF], to: nowhere, from: .unspecified) }
        }
        batch.flush()
        #expect(batch.datagramsSent == 40)
        #expect(batch.drops[.sendUnreachable] == 4)
        var received: [UInt8] = []
        var buffer: [UInt8] = [0, 0]
        while recv(receiver, &buffer, 2, 0) == 2 { received.append(buffer[0]) }
        #expect(received == Array(0..<40))
    }
}
