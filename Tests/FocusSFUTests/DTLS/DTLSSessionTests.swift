// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

@Suite("DTLS sessions, RFC 6347 and RFC 5764")
struct DTLSSessionTests {
    private static let gcm = "SRTP_AEAD_AES_128_GCM"
    private static let counterMode = "SRTP_AES128_CM_SHA1_80"

    /// Protects with one end's keys and checks with the other's.
    private func expectMatchingKeys(_ link: DTLSLink) throws {
        let client = try SRTPSession(keying: #require(link.client.keying), localRole: .client)
        let server = try SRTPSession(keying: #require(link.server.keying), localRole: .server)
        for (from, to) in [(client, server), (server, client)] {
            let packet = SRTPPacketBuffer(rtcpPacket())
            packet.length = from.sender.protectRTCP(packet: packet.start, length: packet.length, capacity: 2_048)
            #expect(to.receiver.unprotectRTCP(packet: packet.start, length: packet.length) == .accepted(length: 32))
        }
    }

    @Test("both ends agree on keys, AES-GCM first")
    func handshake() throws {
        let link = try DTLSLink()
        link.start()
        link.settle()
        #expect(link.client.keying?.profile == .aeadAes128Gcm)
        #expect(link.client.session.isConnected && link.server.session.isConnected)
        #expect(link.client.session.nextDeadline == nil && link.server.session.nextDeadline == nil)
        try expectMatchingKeys(link)
    }

    @Test(
        "what only one end prefers is negotiated",
        arguments: [
            (gcm, SRTPProfile.negotiationList, SRTPProfile.aeadAes128Gcm),
            (SRTPProfile.negotiationList, gcm, .aeadAes128Gcm),
            (counterMode, SRTPProfile.negotiationList, .aes128CmHmacSha1Tag80),
            (SRTPProfile.negotiationList, counterMode, .aes128CmHmacSha1Tag80),
        ])
    func profiles(client: String, server: String, expected: SRTPProfile) throws {
        let link = try DTLSLink(clientProfiles: client, serverProfiles: server)
        link.start()
        link.settle()
        #expect(link.client.keying?.profile == expected)
        #expect(link.server.keying?.profile == expected)
        try expectMatchingKeys(link)
    }

    @Test("without a common profile there are no keys")
    func noProfile() throws {
        let link = try DTLSLink(clientProfiles: Self.gcm, serverProfiles: Self.counterMode)
        link.start()
        link.settle()
        #expect(link.client.keying == nil && link.server.keying == nil)
        #expect(link.client.failure != nil || link.server.failure != nil)
    }

    @Test("a certificate that was not announced gets no keys", arguments: [DTLSRole.client, .server])
    func wrongFingerprint(judge: DTLSRole) throws {
        let other = try #require(CertificateFingerprint(bytes: [UInt8](repeating: 7, count: 32)))
        let link = try DTLSLink(
            clientExpects: judge == .client ? other : nil, serverExpects: judge == .server ? other : nil)
        link.start()
        link.settle()
        let end = judge == .client ? link.client : link.server
        #expect(end.failure == .fingerprintMismatch)
        #expect(end.keying == nil)
        #expect(end.session.isClosed)
        #expect([1].send(over: end.session) == .dropped(.sctpBeforeHandshake))
    }

    @Test("the client's first flights are lost, then the server's, and the handshake ends in virtual time")
    func lostFlights() throws {
        for lostByClient in 0..<4 {
            for lostByServer in 0..<4 {
                let link = try DTLSLink()
                link.loses = { role, number in number < (role == .client ? lostByClient : lostByServer) }
                link.start()
                link.run(milliseconds: 20_000) { link.client.keying != nil && link.server.keying != nil }
                #expect(link.client.keying != nil && link.server.keying != nil, "\(lostByClient), \(lostByServer)")
                try expectMatchingKeys(link)
            }
        }
    }

    @Test("waits are 100 ms and double up to 4 s, and 30 s are the limit")
    func silence() throws {
        let link = try DTLSLink()
        link.loses = { _, _ in true }
        let start = link.now
        link.start()
        var waits: [UInt64] = []
        var last = start
        link.settle()
        while let next = link.client.session.nextDeadline, link.client.failure == nil {
            waits.append(next.milliseconds(since: last))
            last = next
            link.client.session.advance(to: next)
            link.settle()
        }
        #expect(waits.prefix(8) == [100, 200, 400, 800, 1_600, 3_200, 4_000, 4_000])
        #expect(link.client.failure == .handshakeTimeout)
        #expect(last == start.advanced(byMilliseconds: 30_000))
        #expect(link.client.session.nextDeadline == nil)
    }

    /// OpenSSL's own timer reads the wall clock, so this one test has to wait out its 90 ms.
    @Test("a lost last flight of the server is asked for with new record numbers")
    func lostLastFlight() throws {
        let link = try DTLSLink()
        var lost = 0
        // All the server sends after it has its keys, once.
        link.loses = { [unowned link] role, _ in
            guard role == .server, link.server.session.isConnected, lost < 1 else { return false }
            lost += 1
            return true
        }
        link.start()
        link.settle()
        #expect(link.server.session.isConnected && !link.client.session.isConnected)
        let clock = ContinuousClock()
        let due = clock.now + .milliseconds(100)
        while clock.now < due {}
        link.run(milliseconds: 1_000) { link.client.keying != nil }
        #expect(lost == 1)
        #expect(link.client.keying != nil)
        try expectMatchingKeys(link)
    }

    @Test("application data goes both ways, whole and alone in its datagram")
    func applicationData() throws {
        let link = try DTLSLink()
        #expect([1].send(over: link.client.session) == .dropped(.sctpBeforeHandshake))
        link.start()
        link.settle()
        let messages = [1, 100, DTLSSession.messageLimit].map {
            [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: $0)
        }
        for message in messages {
            #expect(message.send(over: link.client.session) == .accepted)
            #expect(message.send(over: link.server.session) == .accepted)
        }
        link.settle()
        #expect(link.server.received == messages)
        #expect(link.client.received == messages)
        let tooLong = [UInt8](repeating: 0, count: DTLSSession.messageLimit + 1)
        #expect(tooLong.send(over: link.client.session) == .dropped(.tooLong))
    }

    @Test("a caller that does not drain gets a full queue, not endless memory")
    func boundedOutput() throws {
        let link = try DTLSLink()
        link.start()
        link.settle()
        for _ in 0..<DTLSSession.outputLimit { #expect([1].send(over: link.client.session) == .accepted) }
        #expect([1].send(over: link.client.session) == .dropped(.sendBufferFull))
    }

    @Test("closing is heard and answered", arguments: [DTLSRole.client, .server])
    func close(closer: DTLSRole) throws {
        let link = try DTLSLink()
        link.start()
        link.settle()
        let (from, to) = closer == .client ? (link.client, link.server) : (link.server, link.client)
        from.session.close()
        #expect(from.session.isClosed)
        link.settle()
        #expect(to.isClosed && to.session.isClosed && to.failure == nil)
        #expect([1].send(over: to.session) == .dropped(.sctpBeforeHandshake))
        #expect(link.deliver([UInt8](repeating: 22, count: 40), to: to) != .accepted)
    }

    @Test("datagrams that are no DTLS are refused with a reason")
    func refusals() throws {
        let link = try DTLSLink()
        let record: [UInt8] = [22, 0xFE, 0xFD] + [UInt8](repeating: 0, count: 20)
        #expect(link.deliver(record, to: link.server) == .dropped(.dtlsBeforeICE))
        link.start()
        #expect(link.deliver([], to: link.server) == .dropped(.tooShort))
        #expect(link.deliver([22, 0xFE, 0xFD], to: link.server) == .dropped(.tooShort))
        #expect(link.deliver([UInt8](repeating: 0x80, count: 40), to: link.server) == .dropped(.dtlsMalformed))
        #expect(link.deliver([UInt8](repeating: 22, count: 3_000), to: link.server) == .dropped(.tooLong))
    }

    @Test("changed, cut, repeated and random datagrams never trap", arguments: 0..<12)
    func mutations(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed &+ 77)
        let link = try DTLSLink()
        link.start()
        var recorded: [[UInt8]] = []
        for _ in 0..<40 {
            for (from, to) in [(link.client, link.server), (link.server, link.client)] {
                while let output = from.session.nextOutput() {
                    guard case .transmit(var datagram) = output else { continue }
                    recorded.append(datagram)
                    switch Int.random(in: 0..<6, using: &generator) {
                    case 0: datagram[Int.random(in: 0..<datagram.count, using: &generator)] ^= 0x11
                    case 1: datagram.removeLast(Int.random(in: 0..<datagram.count, using: &generator))
                    case 2: datagram = datagram.map { _ in UInt8.random(in: 0...255, using: &generator) }
                    case 3: datagram = recorded.randomElement(using: &generator) ?? datagram
                    default: break
                    }
                    _ = link.deliver(datagram, to: to)
                }
            }
            link.now = link.now.advanced(byMilliseconds: 300)
            link.client.session.advance(to: link.now)
            link.server.session.advance(to: link.now)
        }
        for datagram in recorded { for end in [link.client, link.server] { _ = link.deliver(datagram, to: end) } }
    }

    @Test("random datagrams into a live connection change nothing")
    func garbageWhenConnected() throws {
        var generator = SeededGenerator(seed: 3)
        let link = try DTLSLink()
        link.start()
        link.settle()
        for _ in 0..<2_000 {
            let type = UInt8.random(in: 20...23, using: &generator)
            let body = (0..<Int.random(in: 10...90, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = link.deliver([type, 0xFE, 0xFD, 0, 1] + body, to: link.server)
        }
        #expect([9].send(over: link.client.session) == .accepted)
        link.settle()
        #expect(link.server.received == [[9]])
    }
}
