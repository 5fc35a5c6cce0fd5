// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("Data channels over SCTP, RFC 8831 and RFC 8832", .serialized)
struct DataChannelsTests {
    private func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
    }

    @Test("both start at once and both come up")
    func connects() throws {
        let link = try SCTPLink()
        #expect(link.client.isConnected && link.server.isConnected)
        #expect(link.client.longestPacket <= DTLSSession.messageLimit)
    }

    @Test("one starts late")
    func connectsLate() throws {
        let link = try SCTPLink(connected: false)
        link.client.channels.connect()
        link.run(milliseconds: 700) { false }
        #expect(!link.client.isConnected)
        link.server.channels.connect()
        link.run(milliseconds: 3_000) { link.client.isConnected && link.server.isConnected }
        #expect(link.client.isConnected && link.server.isConnected)
    }

    @Test("channels open both ways, the client's even and the server's odd, with what they were opened with")
    func opens() throws {
        let link = try SCTPLink(connected: false)
        let reliable = DataChannelParameters(label: "_reliable")
        let lossy = DataChannelParameters(
            label: "_lossy", subprotocol: "p", ordered: false, reliability: .maxRetransmits(0))
        // Before the association is up, as a server does.
        #expect(try link.server.channels.open(lossy) == 1)
        #expect(try link.server.channels.open(reliable) == 3)
        #expect(link.server.channels.send([1], on: 1) == .notConnected)
        link.client.channels.connect()
        link.server.channels.connect()
        link.run(milliseconds: 2_000) { link.client.isConnected && link.server.isConnected }
        #expect(try link.client.channels.open(reliable) == 0)
        link.settle()
        #expect(link.client.opened.map(\.id).sorted() == [0, 1, 3])
        #expect(link.server.opened.map(\.id).sorted() == [0, 1, 3])
        #expect(link.client.channels.channel(1)?.parameters == lossy)
        #expect(link.client.channels.channel(1)?.isRemote == true)
        #expect(link.server.channels.channel(1)?.isRemote == false)
        #expect(link.server.channels.channel(0)?.parameters == reliable)
    }

    @Test("messages of all sizes arrive whole and in order", arguments: [0, 1, 100, 15_360, 65_536])
    func reliable(size: Int) throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "_reliable"))
        link.settle()
        for number in 0..<20 {
            for (from, to) in [(link.client, link.server), (link.server, link.client)] {
                let kind = number % 2 == 0 ? DataMessageKind.binary : .text
                #expect(from.channels.send(pattern(size, number), kind: kind, on: channel) == .queued)
                link.run(milliseconds: 2_000) { to.messages.count > number }
                #expect(to.messages.last?.bytes == pattern(size, number))
                #expect(to.messages.last?.kind == kind)
            }
        }
        #expect(link.client.longestPacket <= DTLSSession.messageLimit)
        link.run(milliseconds: 2_000) { link.client.channels.bufferedAmount == 0 }
        #expect(link.client.channels.bufferedAmount == 0)
    }

    @Test("a reliable channel survives loss")
    func reliableWithLoss() throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "_reliable"))
        link.settle()
        link.loses = { $0 % 7 == 3 }
        for number in 0..<12 { #expect(link.client.channels.send(pattern(15_360, number), on: channel) == .queued) }
        link.run(milliseconds: 60_000) { link.server.messages.count == 12 }
        #expect(link.server.messages.map(\.bytes) == (0..<12).map { pattern(15_360, $0) })
    }

    @Test("a lossy channel gives up what is lost and goes on")
    func lossyWithLoss() throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(
            DataChannelParameters(label: "_lossy", ordered: false, reliability: .maxRetransmits(0)))
        link.settle()
        link.loses = { $0 % 5 == 0 }
        for number in 0..<200 {
            #expect(link.client.channels.send(pattern(100, number), on: channel) == .queued)
            link.settle()
        }
        link.loses = { _ in false }
        link.run(milliseconds: 10_000) { link.client.channels.bufferedAmount == 0 }
        #expect(link.client.channels.bufferedAmount == 0)
        #expect((100..<200).contains(link.server.messages.count), "\(link.server.messages.count)")
        #expect(link.server.messages.allSatisfy { $0.bytes.count == 100 })
    }

    @Test("a full send buffer refuses, tells how much it holds, and empties")
    func sendBuffer() throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "_reliable"))
        link.settle()
        var queued = 0
        while queued < 100, link.client.channels.send(pattern(65_536), on: channel) == .queued { queued += 1 }
        #expect((1...8).contains(queued), "\(queued)")
        #expect(link.client.channels.bufferedAmount > 65_536)
        #expect(link.client.channels.send(pattern(65_537), on: channel) == .tooLong)
        link.run(milliseconds: 5_000) { link.server.messages.count == queued }
        #expect(link.server.messages.count == queued)
        #expect(link.client.channels.send(pattern(65_536), on: channel) == .queued)
    }

    @Test("a closed channel is closed at both ends and its number can be used again", arguments: [true, false])
    func closes(openerCloses: Bool) throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "a"))
        link.settle()
        (openerCloses ? link.client : link.server).channels.close(channel)
        link.run(milliseconds: 5_000) { !link.client.closed.isEmpty && !link.server.closed.isEmpty }
        #expect(link.client.closed == [channel] && link.server.closed == [channel])
        #expect(link.client.channels.send([1], on: channel) == .unknownStream)
        #expect(try link.client.channels.open(DataChannelParameters(label: "b")) == channel)
        link.settle()
        #expect(link.client.channels.send([1, 2], on: channel) == .queued)
        link.run(milliseconds: 2_000) { !link.server.messages.isEmpty }
        #expect(link.server.messages.last?.bytes == [1, 2])
        #expect(link.server.channels.channel(channel)?.parameters.label == "b")
    }

    @Test("several channels closed at once are all closed")
    func closesMany() throws {
        let link = try SCTPLink()
        let ids = try (0..<5).map { try link.client.channels.open(DataChannelParameters(label: "\($0)")) }
        link.settle()
        for id in ids { link.client.channels.close(id) }
        link.run(milliseconds: 10_000) { link.client.closed.count == 5 && link.server.closed.count == 5 }
        #expect(link.client.closed.sorted() == ids)
        #expect(link.server.closed.sorted() == ids)
    }

    @Test("there is a limit of channels")
    func channelLimit() throws {
        let link = try SCTPLink()
        for _ in 0..<DataChannels.channelLimit { _ = try link.client.channels.open(DataChannelParameters(label: "x")) }
        #expect(throws: DataChannelError.tooManyChannels) {
            try link.client.channels.open(DataChannelParameters(label: "x"))
        }
        link.run(milliseconds: 2_000) { link.server.opened.count == DataChannels.channelLimit }
        #expect(link.server.opened.count == DataChannels.channelLimit)
    }

    @Test("ending the association is heard by the peer, and ends all channels")
    func closesAssociation() throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "a"))
        link.settle()
        #expect(link.client.channels.send(pattern(65_536), on: channel) == .queued)
        link.client.channels.closeAssociation()
        link.settle()
        #expect(link.server.isClosed)
        #expect(link.client.channels.send([1], on: channel) != .queued)
        #expect(link.server.channels.send([1], on: channel) != .queued)
        #expect(throws: DataChannelError.associationClosed) {
            try link.server.channels.open(DataChannelParameters(label: "x"))
        }
    }

    @Test("a silent peer ends the association")
    func silence() throws {
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "a"))
        link.settle()
        link.loses = { _ in true }
        #expect(link.client.channels.send([1], on: channel) == .queued)
        let before = link.client.wakeUps.count
        link.run(milliseconds: 120_000) { link.client.isClosed }
        #expect(link.client.isClosed)
        // Repetitions and the end came from timers: the owner was woken for each.
        #expect(link.client.wakeUps.count > before + 3)
    }

    @Test("an association may go while much is queued, and its timers find nothing")
    func teardown() throws {
        // Other suites have associations of their own in this process, so only these two are looked at.
        weak var client: DataChannels?
        do {
            let link = try SCTPLink()
            client = link.client.channels
            let channel = try link.client.channels.open(DataChannelParameters(label: "a"))
            link.settle()
            for _ in 0..<3 { #expect(link.client.channels.send(pattern(65_536), on: channel) == .queued) }
            #expect(SCTPStack.process.associationCount >= 2)
        }
        #expect(client == nil)
        for _ in 0..<500 { SCTPStack.process.handleTimers(elapsedMilliseconds: 10) }
    }

    @Test("random and changed packets into a live association never trap", arguments: 0..<4)
    func garbage(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let link = try SCTPLink()
        let channel = try link.client.channels.open(DataChannelParameters(label: "a"))
        link.settle()
        for _ in 0..<200 {
            _ = link.client.channels.send(pattern(300), on: channel)
            link.drain(link.client)
            for packet in link.client.outbox {
                for var changed in MutatedBytes(of: packet, seed: generator.next(), count: 8) {
                    SCTPChecksum.repair(&changed)
                    _ = changed.withUnsafeBytes { link.server.channels.receive($0) }
                }
            }
            let noise = (0..<Int.random(in: 0..<100, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = noise.withUnsafeBytes { link.server.channels.receive($0) }
            link.run(milliseconds: 20) { false }
        }
    }

    @Test("packets that cannot be SCTP are refused with a reason")
    func refusals() throws {
        let link = try SCTPLink(connected: false)
        func receive(_ bytes: [UInt8]) -> Disposition {
            bytes.withUnsafeBytes { link.client.channels.receive($0) }
        }
        let packet: [UInt8] = [0x13, 0x88, 0x13, 0x88] + [UInt8](repeating: 0, count: 28)
        #expect(receive(packet) == .dropped(.sctpBeforeHandshake))
        link.client.channels.connect()
        #expect(receive(packet) == .accepted)
        #expect(receive([]) == .dropped(.tooShort))
        #expect(receive([UInt8](repeating: 0, count: 15)) == .dropped(.tooShort))
        #expect(receive([UInt8](repeating: 0, count: 5_000)) == .dropped(.tooLong))
        #expect(receive([UInt8](repeating: 0, count: 40)) == .dropped(.sctpMalformed))
    }
}

/// Writes a right checksum, so that changed packets get past the first check (RFC 9260 appendix A).
enum SCTPChecksum {
    static func repair(_ packet: inout [UInt8]) {
        guard packet.count >= 12 else { return }
        for index in 8..<12 { packet[index] = 0 }
        var crc: UInt32 = .max
        for byte in packet {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
        }
        crc = ~crc
        for index in 0..<4 { packet[8 + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
    }
}
