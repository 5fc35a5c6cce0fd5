// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("ICE lite agent, RFC 8445")
struct ICELiteAgentTests {
    static let local = ICECredentials(randomBytes: [UInt8](repeating: 1, count: 32))
    static let renewed = ICECredentials(randomBytes: [UInt8](repeating: 2, count: 32))
    static let address = NetworkAddress(ipv4: 0xC000_0207, port: 50000)
    static let other = NetworkAddress(high: 0x2001_0DB8_0000_0000, low: 7, port: 50001)
    static let transactionID = STUNMessage.TransactionID(high: 1, low: 2)

    var agent = ICELiteAgent(credentials: local)
    var response = ByteWriter()

    static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: 1_000 + milliseconds)
    }

    /// A check as a controlling peer sends it.
    static func check(
        _ credentials: ICECredentials = local, remote: String = "peer", nominate: Bool = false,
        role: STUNMessage.RoleClaim = .controlling(9), key: String? = nil, username: String? = nil
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: transactionID)
        writer.writeSTUNUsername((username ?? "\(credentials.usernameFragment):\(remote)").utf8)
        writer.writeSTUNPriority(1)
        writer.writeSTUNRole(role)
        if nominate { writer.writeSTUNUseCandidate() }
        writer.writeMessageIntegrity(key: Array((key ?? credentials.password).utf8))
        writer.writeSTUNFingerprint()
        return writer.bytes
    }

    mutating func receive(_ bytes: [UInt8], from address: NetworkAddress = address, at milliseconds: UInt64 = 0)
        -> Disposition
    {
        bytes.withUnsafeBytes {
            agent.receive($0, from: address, at: Self.time(milliseconds), response: &response)
        }
    }

    mutating func drain() -> [ICEEvent] {
        var events: [ICEEvent] = []
        while let event = agent.nextEvent() { events.append(event) }
        return events
    }

    func answer() throws -> STUNMessage {
        try response.bytes.withUnsafeBytes { try STUNMessage(reading: $0) }
    }

    @Test("a check is answered with the address it came from, protected and marked", arguments: [address, other])
    mutating func answered(address: NetworkAddress) throws {
        #expect(receive(Self.check(), from: address) == .accepted)
        #expect(drain() == [.pathAdded(address)])
        #expect(agent.isValidPath(address))
        #expect(agent.selectedPath == nil)
        try response.bytes.withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .successResponse)
            #expect(message.transactionID == Self.transactionID)
            #expect(message.xorMappedAddress == address)
            let key = Array(Self.local.password.utf8)
            #expect(MessageIntegrity.isValid(bytes, at: try #require(message.integrityOffset), key: key))
            #expect(STUNFingerprint.isValid(bytes, at: try #require(message.fingerprintOffset)))
        }
    }

    @Test("the path nominated last wins")
    mutating func nomination() {
        _ = receive(Self.check(nominate: true))
        #expect(drain() == [.pathAdded(Self.address), .pathSelected(Self.address)])
        _ = receive(Self.check(nominate: true), from: Self.other)
        #expect(drain() == [.pathAdded(Self.other), .pathSelected(Self.other)])
        _ = receive(Self.check(), from: Self.address)
        #expect(drain().isEmpty)
        #expect(agent.selectedPath == Self.other)
    }

    @Test("silence: connected, disconnected after 10 s, failed after 15 s, and back")
    mutating func consent() {
        #expect(agent.state(at: Self.time(0)) == .new)
        #expect(agent.nextDeadline(after: Self.time(0)) == nil)
        _ = receive(Self.check())
        #expect(agent.state(at: Self.time(0)) == .checking)
        #expect(agent.nextDeadline(after: Self.time(0)) == Self.time(15_000))
        _ = receive(Self.check(nominate: true), at: 100)
        #expect(agent.state(at: Self.time(10_099)) == .connected)
        #expect(agent.nextDeadline(after: Self.time(100)) == Self.time(10_100))
        #expect(agent.state(at: Self.time(10_100)) == .disconnected)
        #expect(agent.nextDeadline(after: Self.time(10_100)) == Self.time(15_100))
        #expect(agent.state(at: Self.time(15_100)) == .failed)
        #expect(agent.nextDeadline(after: Self.time(15_100)) == nil)
        _ = receive(Self.check(), at: 16_000)
        #expect(agent.state(at: Self.time(16_000)) == .connected)
    }

    @Test("who does not know the user name gets no answer")
    mutating func unknownUsername() {
        for username in ["", ":", "peer", "peer:\(Self.local.usernameFragment)", Self.local.usernameFragment] {
            #expect(receive(Self.check(username: username)) == .dropped(.stunUnknownUsername))
            #expect(response.count == 0)
        }
        agent.setRemoteUsernameFragment("peer")
        #expect(receive(Self.check(remote: "peex")) == .dropped(.stunUnknownUsername))
        #expect(receive(Self.check(remote: "peer2")) == .dropped(.stunUnknownUsername))
        #expect(receive(Self.check(remote: "peer")) == .accepted)
    }

    @Test("in a flood of wrong passwords strangers are turned away unseen, and the known path goes on")
    mutating func floodOfWrongPasswords() throws {
        #expect(receive(Self.check(nominate: true)) == .accepted)
        for _ in 0..<ICELiteAgent.failureLimit {
            #expect(receive(Self.check(key: "wrong"), from: Self.other, at: 10) == .dropped(.stunWrongIntegrity))
            #expect(try answer().errorCode == 401)
        }
        #expect(receive(Self.check(key: "wrong"), from: Self.other, at: 11) == .dropped(.stunTooManyFailures))
        #expect(response.count == 0)
        #expect(receive(Self.check(), from: Self.other, at: 12) == .dropped(.stunTooManyFailures))
        // From the known address each is looked at, and the wrong ones are no longer answered.
        #expect(receive(Self.check(key: "wrong"), at: 13) == .dropped(.stunWrongIntegrity))
        #expect(response.count == 0)
        #expect(receive(Self.check(), at: 14) == .accepted)
        // A second later strangers may try again.
        #expect(receive(Self.check(), from: Self.other, at: 1_010) == .accepted)
    }

    @Test("a wrong password is told 401, missing integrity 400, and neither moves the state")
    mutating func unauthenticated() throws {
        #expect(receive(Self.check(key: "wrong")) == .dropped(.stunWrongIntegrity))
        #expect(try answer().errorCode == 401)
        #expect(try answer().integrityOffset == nil)

        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: Self.transactionID)
        writer.writeSTUNUsername("\(Self.local.usernameFragment):p".utf8)
        #expect(receive(writer.bytes) == .dropped(.stunMissingIntegrity))
        #expect(try answer().errorCode == 400)
        #expect(response.count <= 3 * writer.count)
        #expect(agent.state(at: Self.time(0)) == .new)
        #expect(drain().isEmpty)
    }

    @Test("a peer that is controlled too is asked to switch")
    mutating func roleConflict() throws {
        #expect(receive(Self.check(role: .controlled(.max))) == .dropped(.iceRoleConflict))
        #expect(try answer().errorCode == 487)
        #expect(try answer().integrityOffset != nil)
        #expect(agent.state(at: Self.time(0)) == .new)
    }

    @Test("an attribute that must be understood is named in a 420")
    mutating func unknownAttribute() throws {
        var writer = ByteWriter()
        writer.writeSTUNHeader(.request, transactionID: Self.transactionID)
        writer.writeSTUNUsername("\(Self.local.usernameFragment):p".utf8)
        writer.write(UInt32(0x7F01_0000))
        writer.writeMessageIntegrity(key: Array(Self.local.password.utf8))
        #expect(receive(writer.bytes) == .dropped(.stunUnknownAttribute))
        #expect(try answer().errorCode == 420)
        #expect(response.bytes.indices.contains { response.bytes[$0...].starts(with: [0, 0x0A, 0, 2, 0x7F, 0x01]) })
    }

    @Test("a fingerprint that does not fit, responses, indications and giants are dropped in silence")
    mutating func silentlyDropped() {
        var wrong = Self.check()
        wrong[wrong.count - 1] ^= 1
        #expect(receive(wrong) == .dropped(.stunWrongFingerprint))
        #expect(receive(STUNVectors.responseIPv4) == .dropped(.stunNotARequest))
        var writer = ByteWriter()
        writer.writeSTUNHeader(.indication, transactionID: Self.transactionID)
        #expect(receive(writer.bytes) == .dropped(.stunNotARequest))
        #expect(receive([UInt8](repeating: 0, count: 1501)) == .dropped(.tooLong))
        #expect(receive([]) == .dropped(.stunMalformed))
        #expect(response.count == 0)
    }

    @Test("restart: both generations answer until the new one is nominated")
    mutating func restart() {
        _ = receive(Self.check(nominate: true))
        _ = drain()
        agent.restart(with: Self.renewed)
        #expect(agent.credentials == Self.renewed)
        #expect(receive(Self.check(), at: 10) == .accepted)
        #expect(receive(Self.check(Self.renewed), from: Self.other, at: 20) == .accepted)
        #expect(drain() == [.pathAdded(Self.other)])
        #expect(receive(Self.check(), at: 30) == .accepted)
        #expect(agent.selectedPath == Self.address)
        #expect(receive(Self.check(Self.renewed, nominate: true), from: Self.other, at: 40) == .accepted)
        #expect(drain() == [.usernameFragmentRetired(Self.local.usernameFragment), .pathSelected(Self.other)])
        #expect(receive(Self.check(), at: 50) == .dropped(.stunUnknownUsername))
        #expect(receive(Self.check(Self.renewed), from: Self.other, at: 60) == .accepted)
    }

    @Test("a second restart retires the generation that was never nominated")
    mutating func restartTwice() {
        let third = ICECredentials(randomBytes: [UInt8](repeating: 3, count: 32))
        agent.restart(with: Self.renewed)
        agent.restart(with: third)
        #expect(drain() == [.usernameFragmentRetired(Self.renewed.usernameFragment)])
        #expect(receive(Self.check(Self.renewed)) == .dropped(.stunUnknownUsername))
        #expect(receive(Self.check()) == .accepted)
        #expect(receive(Self.check(third)) == .accepted)
    }

    @Test("no more than 16 paths are remembered, and never the selected one forgotten")
    mutating func pathLimit() {
        _ = receive(Self.check(nominate: true))
        for port in 0..<20 {
            let address = NetworkAddress(ipv4: 1, port: UInt16(port))
            _ = receive(Self.check(), from: address, at: UInt64(port + 1))
        }
        let events = drain()
        #expect(events.contains(.pathRemoved(NetworkAddress(ipv4: 1, port: 0))))
        #expect(!events.contains(.pathRemoved(Self.address)))
        #expect(agent.isValidPath(Self.address))
        #expect((0..<20).count { agent.isValidPath(NetworkAddress(ipv4: 1, port: UInt16($0))) } == 15)
    }

    @Test("the local fragment is found without knowing the peer")
    func demultiplexing() {
        Self.check().withUnsafeBytes { bytes in
            let fragment = ICELiteAgent.localUsernameFragment(of: bytes)
            #expect(fragment?.elementsEqual(Self.local.usernameFragment.utf8) == true)
        }
        Self.check(username: "nocolon").withUnsafeBytes {
            #expect(ICELiteAgent.localUsernameFragment(of: $0) == nil)
        }
        [UInt8](repeating: 0x80, count: 60).withUnsafeBytes {
            #expect(ICELiteAgent.localUsernameFragment(of: $0) == nil)
        }
        [UInt8]().withUnsafeBytes { #expect(ICELiteAgent.localUsernameFragment(of: $0) == nil) }
    }

    @Test("mutated checks never trap, are never believed, and no answer exceeds three times its request")
    mutating func mutations() {
        let check = Self.check(nominate: true)
        for bytes in MutatedBytes(of: check, seed: 8445) where bytes != check {
            bytes.withUnsafeBytes { _ = ICELiteAgent.localUsernameFragment(of: $0) }
            let disposition = receive(bytes)
            #expect(response.count <= 3 * bytes.count)
            // The length is protected through what it spans, and nothing protects the fingerprint.
            if disposition == .accepted {
                #expect(bytes.prefix(2) == check.prefix(2))
                #expect(bytes.dropFirst(4).starts(with: check[4..<check.count - 8]))
            }
        }
    }
}
