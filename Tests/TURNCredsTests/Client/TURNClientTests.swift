// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import TURNCreds

@Suite("Client of a TURN server")
struct TURNClientTests {
    private let server = ServerInMemory()

    private func client(_ carrier: TURNClient.Carrier = .datagrams, password: String = "right") -> TURNClient {
        TURNClient(carrier: carrier, username: "1700000000:u", password: password)
    }

    /// Hands over everything until both are silent; returns what happened.
    private func exchange(_ client: inout TURNClient, with server: ServerInMemory) -> [TURNClientEvent] {
        var events: [TURNClientEvent] = []
        for _ in 0..<20 {
            let output = client.takeOutput()
            if output.isEmpty { break }
            for bytes in output {
                for answer in server.answers(to: bytes) { client.receive(answer, at: 1) }
            }
            events += client.takeEvents()
        }
        return events
    }

    private func allocated(_ client: inout TURNClient, _ server: ServerInMemory? = nil) -> [TURNClientEvent] {
        client.start(.allocate(.ipv4, .udp), at: 0)
        return exchange(&client, with: server ?? self.server)
    }

    @Test("a challenge is answered and the allocation is there", arguments: [TURNClient.Carrier.datagrams, .stream])
    func allocate(carrier: TURNClient.Carrier) throws {
        var client = client(carrier)
        let relayed = try #require(RelayAddress("198.51.100.7", port: 50_000))
        #expect(
            allocated(&client) == [
                .allocated(
                    TURNAllocation(
                        relayed: relayed, mapped: RelayAddress("203.0.113.4", port: 1_234), lifetimeSeconds: 600))
            ])
        #expect(client.deadline == nil)
    }

    @Test("a wrong password is refused, once")
    func wrongPassword() {
        var client = client(password: "wrong")
        #expect(allocated(&client) == [.failed(.allocate(.ipv4, .udp), .refused(code: 401))])
    }

    @Test("permission, channel, refresh and deletion; data both ways")
    func life() throws {
        var client = client()
        _ = allocated(&client)
        let peer = try #require(RelayAddress("198.51.100.8", port: 9))
        for operation in [
            TURNOperation.createPermission(peer), .bindChannel(0x4000, peer), .refresh(lifetimeSeconds: 0),
        ] {
            client.start(operation, at: 10)
            #expect(exchange(&client, with: server) == [.done(operation)])
        }
        client.send([1, 2, 3], to: peer)
        #expect(client.takeOutput() == [[0x40, 0, 0, 3, 1, 2, 3]])
        client.receive([0x40, 0, 0, 2, 5, 6, 0, 0], at: 11)
        #expect(client.takeEvents() == [.data([5, 6], from: peer)])
    }

    @Test("without a channel data goes as an indication, and comes as one")
    func indications() throws {
        var client = client()
        _ = allocated(&client)
        let peer = try #require(RelayAddress("2001:db8::8", port: 9))
        client.send([1], to: peer)
        let sent = try TURNMessage(try #require(client.takeOutput().first))
        #expect(sent.method == .send && sent.address(.xorPeerAddress) == peer && sent[.data] == [1])
        var data = TURNMessage(.indication, .data, transactionID: .random())
        data.add(.xorPeerAddress, peer)
        data.add(.data, [7])
        client.receive(data.encoded(), at: 0)
        #expect(client.takeEvents() == [.data([7], from: peer)])
    }

    @Test("a refused peer is told with its number")
    func forbidden() throws {
        var client = client()
        _ = allocated(&client)
        let peer = try #require(RelayAddress("127.0.0.1", port: 9))
        client.start(.createPermission(peer), at: 0)
        #expect(exchange(&client, with: server) == [.failed(.createPermission(peer), .refused(code: 403))])
    }

    @Test("a stale nonce is replaced, for ever is too long")
    func staleNonce() throws {
        var patient = client()
        _ = allocated(&patient)
        server.staleAnswers = 2
        patient.start(.refresh(lifetimeSeconds: 600), at: 0)
        #expect(exchange(&patient, with: server) == [.done(.refresh(lifetimeSeconds: 600))])
        server.staleAnswers = .max
        patient.start(.refresh(lifetimeSeconds: 600), at: 0)
        #expect(exchange(&patient, with: server) == [.failed(.refresh(lifetimeSeconds: 600), .endlessNonces)])
    }

    @Test("success that does not prove the password is no success")
    func liar() {
        server.forgesIntegrity = true
        var client = client()
        #expect(allocated(&client).isEmpty)
        #expect(client.ignored[.unproven] == 1)
        client.tick(at: TURNClient.timeLimitMilliseconds)
        #expect(client.takeEvents() == [.failed(.allocate(.ipv4, .udp), .noAnswer(ignored: 1))])
    }

    @Test("an allocation without an address, or with none that peers reach, is malformed")
    func emptyAllocation() throws {
        for address in [nil, RelayAddress("0.0.0.0", port: 5), RelayAddress("198.51.100.7", port: 0)] {
            server.relayed = address
            var client = client()
            #expect(allocated(&client) == [.failed(.allocate(.ipv4, .udp), .malformedAnswer)])
        }
    }

    @Test("datagrams are sent again after 0.5, 1.5 and 3.5 s; the stream waits")
    func retransmission() {
        var client = client()
        client.start(.allocate(.ipv4, .udp), at: 1_000)
        #expect(client.takeOutput().count == 1)
        var times: [UInt64] = []
        while let deadline = client.deadline {
            client.tick(at: deadline)
            if !client.takeOutput().isEmpty { times.append(deadline) }
        }
        #expect(times == [1_500, 2_500, 4_500])
        #expect(client.takeEvents() == [.failed(.allocate(.ipv4, .udp), .noAnswer(ignored: 0))])
        var stream = self.client(.stream)
        stream.start(.allocate(.ipv4, .udp), at: 0)
        #expect(stream.deadline == TURNClient.timeLimitMilliseconds)
    }

    @Test("noise is counted and changes nothing")
    func noise() {
        var client = client()
        client.start(.allocate(.ipv4, .udp), at: 0)
        let stranger = TURNMessage(.success, .allocate, transactionID: .init(high: 1, low: 2))
        for bytes in [[], [1, 2], [UInt8](repeating: 0, count: 20), stranger.encoded(), [0x40, 0, 0, 0]] {
            client.receive(bytes, at: 1)
        }
        #expect(client.takeEvents().isEmpty)
        #expect(client.ignored == [.notFrame: 2, .malformed: 1, .unknownTransaction: 1, .unexpected: 1])
    }

    @Test("a stream that is none of TURN ends the client's operation")
    func brokenStream() {
        var client = client(.stream)
        client.start(.allocate(.ipv4, .udp), at: 0)
        client.receive(Array("SSH-2.0-OpenSSH\r\n".utf8) + [UInt8](repeating: 0xFF, count: 70_000), at: 1)
        client.receive([UInt8](repeating: 0xFF, count: 70_000), at: 1)
        #expect(client.takeEvents() == [.failed(.allocate(.ipv4, .udp), .broken)])
    }
}

/// The other side of RFC 8656, as far as a client sees it.
private final class ServerInMemory {
    var relayed = RelayAddress("198.51.100.7", port: 50_000)
    var staleAnswers = 0
    var forgesIntegrity = false
    private var nonce = 0

    func answers(to bytes: [UInt8]) -> [[UInt8]] {
        guard let request = try? TURNMessage(bytes), request.messageClass == .request else { return [] }
        let realm = Array("example.org".utf8)
        guard let key = STUNChecksum.longTermKey(username: "1700000000:u", realm: realm, password: "right") else {
            return []
        }
        guard request[.nonce] != nil else { return [challenge(401, request, realm)] }
        guard request.isProven(by: key) else { return [challenge(401, request, realm)] }
        if staleAnswers > 0 {
            staleAnswers -= 1
            return [challenge(438, request, realm)]
        }
        if request.address(.xorPeerAddress)?.bytes.first == 127 { return [error(403, request).encoded(key: key)] }
        var answer = TURNMessage(.success, request.method, transactionID: request.transactionID)
        switch request.method {
        case .allocate:
            if let relayed { answer.add(.xorRelayedAddress, relayed) }
            if let mapped = RelayAddress("203.0.113.4", port: 1_234) { answer.add(.xorMappedAddress, mapped) }
            answer.add(.lifetime, [0, 0, 2, 88])
        case .refresh:
            answer.add(.lifetime, request[.lifetime] ?? [])
        default:
            break
        }
        return [answer.encoded(key: forgesIntegrity ? [0] : key)]
    }

    private func challenge(_ code: UInt16, _ request: TURNMessage, _ realm: [UInt8]) -> [UInt8] {
        var answer = error(code, request)
        nonce += 1
        answer.add(.realm, realm)
        answer.add(.nonce, "nonce \(nonce)".utf8)
        return answer.encoded()
    }

    private func error(_ code: UInt16, _ request: TURNMessage) -> TURNMessage {
        var answer = TURNMessage(.error, request.method, transactionID: request.transactionID)
        answer.add(.errorCode, [0, 0, UInt8(code / 100), UInt8(code % 100)])
        return answer
    }
}
