// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("SRTP sessions, RFC 3711 §3.3")
struct SRTPSessionTests {
    let client: SRTPSession
    let server: SRTPSession
    let profile: SRTPProfile

    init() throws {
        (client, server, profile) = try Self.pair(.aeadAes128Gcm)
    }

    static func pair(_ profile: SRTPProfile) throws -> (SRTPSession, SRTPSession, SRTPProfile) {
        let keying = SRTPKeyingMaterial.fixed(profile)
        return (
            try SRTPSession(keying: keying, localRole: .client), try SRTPSession(keying: keying, localRole: .server),
            profile
        )
    }

    private func protected(_ bytes: [UInt8], _ state: inout SRTPStreamState, by sender: SRTPSender) -> SRTPPacketBuffer
    {
        let packet = SRTPPacketBuffer(bytes)
        packet.length = sender.protect(packet: packet.start, length: bytes.count, capacity: 2_048, state: &state)
        return packet
    }

    private func unprotect(_ bytes: [UInt8], _ state: inout SRTPReceiveStreamState, by receiver: SRTPReceiver)
        -> (SRTPResult, [UInt8])
    {
        let packet = SRTPPacketBuffer(bytes)
        let result = receiver.unprotect(packet: packet.start, length: bytes.count, state: &state)
        if case .accepted(let length) = result { packet.length = length }
        return (result, packet.bytes)
    }

    @Test("RTP and RTCP come back as they went, both ways", arguments: SRTPProfile.allCases)
    func roundTrip(profile: SRTPProfile) throws {
        let (client, server, _) = try Self.pair(profile)
        for (from, to) in [(client, server), (server, client)] {
            var sendState = SRTPStreamState()
            var receiveState = SRTPReceiveStreamState()
            for (number, payload) in [0, 1, 15, 16, 17, 160, 1_200].enumerated() {
                let plain = rtpPacket(
                    sequence: UInt16(number), payload: payload, extensionWords: number % 2 == 0 ? nil : number)
                let packet = protected(plain, &sendState, by: from.sender)
                #expect(packet.length == plain.count + profile.tagLength)
                #expect(payload == 0 || packet.bytes.prefix(plain.count) != plain[...])
                let (result, bytes) = unprotect(packet.bytes, &receiveState, by: to.receiver)
                #expect(result == .accepted(length: plain.count))
                #expect(bytes == plain)
            }
            for words in [2, 3, 20] {
                let plain = rtcpPacket(words: words)
                let packet = SRTPPacketBuffer(plain)
                packet.length = from.sender.protectRTCP(packet: packet.start, length: plain.count, capacity: 2_048)
                #expect(packet.length == plain.count + profile.tagLength + 4)
                let result = to.receiver.unprotectRTCP(packet: packet.start, length: packet.length)
                #expect(result == .accepted(length: plain.count))
                packet.length = plain.count
                #expect(packet.bytes == plain)
            }
        }
    }

    @Test("a header and a shared payload give the same packet as protection in place", arguments: SRTPProfile.allCases)
    func fanOut(profile: SRTPProfile) throws {
        let (client, _, _) = try Self.pair(profile)
        let plain = rtpPacket(sequence: 7, payload: 500, extensionWords: 2)
        var inPlaceState = SRTPStreamState()
        let expected = protected(plain, &inPlaceState, by: client.sender)

        let shared = SRTPPacketBuffer(plain)
        let slot = SRTPPacketBuffer([])
        var state = SRTPStreamState()
        let headerLength = plain.count - 500
        slot.length = client.sender.protect(
            header: shared.start, headerLength: headerLength, payload: shared.start + headerLength, payloadLength: 500,
            into: slot.start, capacity: 2_048, state: &state)
        #expect(slot.bytes == expected.bytes)
        #expect(shared.bytes == plain)
    }

    @Test(
        "the rollover counter follows the sequence number around, in order and reordered",
        arguments: SRTPProfile.allCases)
    func wrap(profile: SRTPProfile) throws {
        let (client, server, _) = try Self.pair(profile)
        var sendState = SRTPStreamState()
        var receiveState = SRTPReceiveStreamState()
        var packets: [[UInt8]] = []
        for step in 0..<300 {
            // Three rounds of the circle in steps below half of it.
            let sequence = UInt16(truncatingIfNeeded: 60_000 + step * 701)
            packets.append(protected(rtpPacket(sequence: sequence), &sendState, by: client.sender).bytes)
        }
        #expect(sendState.rolloverCounter == 4)
        // Neighbours are at most 701 apart, which the window covers.
        for start in stride(from: 0, to: 300, by: 2) {
            for packet in [packets[start + 1], packets[start]] {
                #expect(unprotect(packet, &receiveState, by: server.receiver).0 == .accepted(length: 112))
            }
        }
        #expect(receiveState.rolloverCounter == 4)
    }

    @Test("a packet sent again under its number by the sender is the same packet after the wrap")
    func repeatAfterWrap() {
        var state = SRTPStreamState()
        let before = protected(rtpPacket(sequence: 65_535), &state, by: client.sender).bytes
        _ = protected(rtpPacket(sequence: 0), &state, by: client.sender)
        #expect(state.rolloverCounter == 1)
        #expect(protected(rtpPacket(sequence: 65_535), &state, by: client.sender).bytes == before)
        #expect(state.rolloverCounter == 1)
    }

    @Test("a packet comes once, and none from behind the window")
    func replay() {
        var sendState = SRTPStreamState()
        var receiveState = SRTPReceiveStreamState()
        let packets = (0..<2_000).map { number in
            protected(rtpPacket(sequence: UInt16(number), payload: 8), &sendState, by: client.sender).bytes
        }
        func arrive(_ number: Int) -> SRTPResult {
            unprotect(packets[number], &receiveState, by: server.receiver).0
        }
        #expect(arrive(5) == .accepted(length: 20))
        #expect(arrive(5) == .refused(.srtpReplayed))
        #expect(arrive(3) == .accepted(length: 20))
        #expect(arrive(3) == .refused(.srtpReplayed))
        #expect(arrive(1_000) == .accepted(length: 20))
        #expect(arrive(5) == .refused(.srtpReplayed))
        #expect(arrive(64) == .accepted(length: 20))
        #expect(arrive(1_040) == .accepted(length: 20))
        #expect(arrive(1_999) == .accepted(length: 20))
        #expect(arrive(1_023) == .refused(.srtpTooOld))
        #expect(arrive(1_024) == .accepted(length: 20))
        #expect(arrive(1_040) == .refused(.srtpReplayed))
        #expect(arrive(1_998) == .accepted(length: 20))
        #expect(arrive(1_998) == .refused(.srtpReplayed))
        #expect(arrive(1_999) == .refused(.srtpReplayed))
    }

    @Test("each changed byte is noticed and changes no state", arguments: SRTPProfile.allCases)
    func tampering(profile: SRTPProfile) throws {
        let (client, server, _) = try Self.pair(profile)
        var sendState = SRTPStreamState()
        var receiveState = SRTPReceiveStreamState()
        let genuine = protected(rtpPacket(sequence: 9, payload: 40, extensionWords: 1), &sendState, by: client.sender)
        for position in 0..<genuine.length {
            var changed = genuine.bytes
            changed[position] ^= 0x40
            let (result, _) = unprotect(changed, &receiveState, by: server.receiver)
            switch result {
            case .accepted: Issue.record("byte \(position) changed unnoticed")
            case .refused(let reason): #expect(reason == .srtpAuthentication || reason == .srtpMalformed)
            }
        }
        #expect(unprotect(genuine.bytes, &receiveState, by: server.receiver).0 == .accepted(length: 60))

        let control = SRTPPacketBuffer(rtcpPacket())
        control.length = client.sender.protectRTCP(packet: control.start, length: control.length, capacity: 2_048)
        for position in 0..<control.length {
            let changed = SRTPPacketBuffer(control.bytes)
            changed.memory[position] ^= 0x40
            switch server.receiver.unprotectRTCP(packet: changed.start, length: changed.length) {
            case .accepted: Issue.record("RTCP byte \(position) changed unnoticed")
            case .refused: break
            }
        }
        #expect(server.receiver.unprotectRTCP(packet: control.start, length: control.length) == .accepted(length: 32))
    }

    @Test("each truncation is refused without trapping", arguments: SRTPProfile.allCases)
    func truncation(profile: SRTPProfile) throws {
        let (client, server, _) = try Self.pair(profile)
        var sendState = SRTPStreamState()
        var receiveState = SRTPReceiveStreamState()
        let genuine = protected(rtpPacket(sequence: 1, payload: 20, extensionWords: 2), &sendState, by: client.sender)
        let control = SRTPPacketBuffer(rtcpPacket())
        control.length = client.sender.protectRTCP(packet: control.start, length: control.length, capacity: 2_048)
        for length in 0..<genuine.length {
            let (result, _) = unprotect(Array(genuine.bytes.prefix(length)), &receiveState, by: server.receiver)
            #expect(result == .refused(.srtpMalformed) || result == .refused(.srtpAuthentication))
        }
        for length in 0..<control.length {
            let cut = SRTPPacketBuffer(Array(control.bytes.prefix(length)))
            let result = server.receiver.unprotectRTCP(packet: cut.start, length: length)
            #expect(result == .refused(.srtpMalformed) || result == .refused(.srtpAuthentication))
        }
    }

    @Test("what cannot be protected is refused and counted")
    func refusals() {
        var state = SRTPStreamState()
        let plain = rtpPacket(sequence: 1)
        let packet = SRTPPacketBuffer(plain)
        let sender = client.sender
        #expect(
            sender.protect(packet: packet.start, length: plain.count, capacity: plain.count + 15, state: &state) == 0)
        #expect(sender.protect(packet: packet.start, length: 11, capacity: 2_048, state: &state) == 0)
        packet.memory[0] = 0x8F
        #expect(sender.protect(packet: packet.start, length: 40, capacity: 2_048, state: &state) == 0)
        #expect(sender.protectRTCP(packet: packet.start, length: 7, capacity: 2_048) == 0)
        sender.nextRTCPIndex = 0x8000_0000
        #expect(sender.protectRTCP(packet: packet.start, length: 8, capacity: 2_048) == 0)
        #expect(sender.failureCount == 5)
    }

    @Test("an RTCP packet comes once, for each sender apart, and none from behind the window")
    func controlReplay() {
        func packet(_ ssrc: UInt32, _ index: UInt32) -> SRTPPacketBuffer {
            let packet = SRTPPacketBuffer(rtcpPacket(ssrc: ssrc))
            client.sender.nextRTCPIndex = index
            packet.length = client.sender.protectRTCP(packet: packet.start, length: packet.length, capacity: 2_048)
            return packet
        }
        func arrive(_ ssrc: UInt32, _ index: UInt32) -> SRTPResult {
            let packet = packet(ssrc, index)
            return server.receiver.unprotectRTCP(packet: packet.start, length: packet.length)
        }
        #expect(arrive(1, 10) == .accepted(length: 32))
        #expect(arrive(1, 10) == .refused(.srtpReplayed))
        #expect(arrive(2, 10) == .accepted(length: 32))
        #expect(arrive(1, 9) == .accepted(length: 32))
        #expect(arrive(1, 9) == .refused(.srtpReplayed))
        #expect(arrive(1, 100) == .accepted(length: 32))
        #expect(arrive(1, 37) == .accepted(length: 32))
        #expect(arrive(1, 36) == .refused(.srtpTooOld))
        #expect(arrive(1, 10) == .refused(.srtpTooOld))
        // Many more senders than the table holds push out the one not heard for longest, nothing grows.
        for ssrc in 100..<UInt32(300) { #expect(arrive(ssrc, 5) == .accepted(length: 32)) }
        #expect(arrive(299, 5) == .refused(.srtpReplayed))
    }

    @Test("an unencrypted RTCP packet is refused")
    func controlUnencrypted() {
        let packet = SRTPPacketBuffer(rtcpPacket())
        packet.length = client.sender.protectRTCP(packet: packet.start, length: packet.length, capacity: 2_048)
        packet.memory[packet.length - 4] &= 0x7F
        let result = server.receiver.unprotectRTCP(packet: packet.start, length: packet.length)
        #expect(result == .refused(.srtpMalformed))
    }

    @Test("random bytes never trap", arguments: SRTPProfile.allCases)
    func garbage(profile: SRTPProfile) throws {
        let (_, server, _) = try Self.pair(profile)
        var generator = SeededGenerator(seed: 0x5EED)
        var state = SRTPReceiveStreamState()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if !bytes.isEmpty, Bool.random(using: &generator) { bytes[0] = 0x80 | bytes[0] & 0x1F }
            if case .accepted = unprotect(bytes, &state, by: server.receiver).0 { Issue.record("accepted \(bytes)") }
            let packet = SRTPPacketBuffer(bytes)
            if case .accepted = server.receiver.unprotectRTCP(packet: packet.start, length: bytes.count) {
                Issue.record("accepted as RTCP \(bytes)")
            }
        }
    }

    @Test("the state that a packet touches stays small")
    func sizes() {
        #expect(MemoryLayout<SRTPSender>.size == 8)
        #expect(MemoryLayout<SRTPStreamState>.size == 8)
        #expect(MemoryLayout<SRTPReceiveStreamState>.size == 136)
    }
}
