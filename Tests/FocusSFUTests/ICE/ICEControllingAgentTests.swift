// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("ICE controlling agent, RFC 8445")
struct ICEControllingAgentTests {
    private static let ours = ICECredentials(randomBytes: [UInt8](repeating: 3, count: 32))
    private static let theirs = ICECredentials(randomBytes: [UInt8](repeating: 4, count: 32))
    private static let server = NetworkAddress(ipv4: 0xC000_0201, port: 7882)
    private static let silent = NetworkAddress(ipv4: 0xC000_0202, port: 7882)
    private static let client = NetworkAddress(ipv4: 0xC000_0207, port: 50_000)

    private var agent = ICEControllingAgent(credentials: ours, tieBreaker: 5, transactionHigh: 0xABCD)
    private var lite = ICELiteAgent(credentials: theirs)

    private static func time(_ milliseconds: UInt64) -> MonotonicTime {
        MonotonicTime.zero.advanced(byMilliseconds: 1_000 + milliseconds)
    }

    private mutating func transmissions() -> [ICEControllingAgent.Transmission] {
        var found: [ICEControllingAgent.Transmission] = []
        while let transmission = agent.nextTransmission() { found.append(transmission) }
        return found
    }

    private mutating func receive(_ bytes: [UInt8], from address: NetworkAddress = server, at time: UInt64)
        -> Disposition
    {
        bytes.withUnsafeBytes { agent.receive($0, from: address, at: Self.time(time)) }
    }

    /// What the lite agent answers to a check that came from `client`.
    private mutating func answer(_ check: [UInt8], at time: UInt64) -> [UInt8] {
        var response = ByteWriter()
        let disposition = check.withUnsafeBytes {
            lite.receive($0, from: Self.client, at: Self.time(time), response: &response)
        }
        #expect(disposition == .accepted)
        return response.bytes
    }

    @Test("checks all candidates, nominates the one that answers, and keeps consent there")
    mutating func nomination() {
        lite.setRemoteUsernameFragment(Self.ours.usernameFragment)
        agent.advance(to: Self.time(0))
        #expect(transmissions().isEmpty)
        agent.setRemote(Self.theirs)
        agent.add(Self.silent)
        agent.add(Self.server)
        agent.add(Self.server)
        agent.advance(to: Self.time(0))
        let checks = transmissions()
        #expect(checks.map(\.address) == [Self.silent, Self.server])

        #expect(receive(answer(checks[1].bytes, at: 1), at: 1) == .accepted)
        #expect(agent.selectedPath == nil)
        #expect(lite.selectedPath == nil)
        let nominating = transmissions()
        #expect(nominating.map(\.address) == [Self.server])
        #expect(receive(answer(nominating[0].bytes, at: 2), at: 2) == .accepted)
        #expect(agent.selectedPath == Self.server)
        #expect(lite.selectedPath == Self.client)

        agent.advance(to: Self.time(1_000))
        #expect(transmissions().isEmpty)
        agent.advance(to: Self.time(2 + ICEControllingAgent.consentIntervalMilliseconds))
        #expect(transmissions().map(\.address) == [Self.server])
    }

    @Test("a check without answer is repeated")
    mutating func repetition() {
        agent.setRemote(Self.theirs)
        agent.add(Self.server)
        agent.advance(to: Self.time(0))
        agent.advance(to: Self.time(10))
        #expect(transmissions().count == 1)
        agent.advance(to: Self.time(ICEControllingAgent.checkIntervalMilliseconds))
        #expect(transmissions().count == 1)
    }

    @Test("answers without the password, of other transactions, or twice do nothing")
    mutating func forgery() {
        agent.setRemote(Self.theirs)
        agent.add(Self.server)
        agent.advance(to: Self.time(0))
        let check = transmissions()[0]
        var writer = ByteWriter()
        writer.writeSTUNHeader(.successResponse, transactionID: .init(high: 0xABCD, low: 1 << 16))
        writer.writeMessageIntegrity(key: Array("a password of somebody else".utf8))
        writer.writeSTUNFingerprint()
        #expect(receive(writer.bytes, at: 1) == .dropped(.stunWrongIntegrity))
        writer.writeSTUNHeader(.successResponse, transactionID: .init(high: 0xABCE, low: 1 << 16))
        writer.writeMessageIntegrity(key: Array(Self.theirs.password.utf8))
        #expect(receive(writer.bytes, at: 1) == .dropped(.stunNotARequest))
        #expect(receive([0, 1, 2], at: 1) == .dropped(.stunMalformed))
        #expect(transmissions().isEmpty)
        let response = answer(check.bytes, at: 1)
        #expect(receive(response, at: 1) == .accepted)
        #expect(transmissions().count == 1)
        #expect(receive(response, at: 2) == .accepted)
        #expect(transmissions().isEmpty)
        #expect(agent.selectedPath == nil)
    }

    @Test("checks of a full agent are answered, and others are not")
    mutating func answersChecks() throws {
        let check = ICELiteAgentTests.check(Self.ours, remote: Self.theirs.usernameFragment)
        #expect(receive(check, at: 1) == .accepted)
        let transmission = agent.nextTransmission()
        let answer = try #require(transmission)
        #expect(answer.address == Self.server)
        try answer.bytes.withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .successResponse)
            #expect(message.transactionID == ICELiteAgentTests.transactionID)
            #expect(message.xorMappedAddress == Self.server)
            let key = Array(Self.ours.password.utf8)
            #expect(MessageIntegrity.isValid(bytes, at: try #require(message.integrityOffset), key: key))
        }
        let stranger = ICELiteAgentTests.check(Self.theirs, remote: "x")
        #expect(receive(stranger, at: 1) == .dropped(.stunUnknownUsername))
        let forged = ICELiteAgentTests.check(Self.ours, remote: "x", key: "not the password of ours")
        #expect(receive(forged, at: 1) == .dropped(.stunWrongIntegrity))
        #expect(agent.nextTransmission() == nil)
    }

    @Test("candidates beyond the limit are not looked at")
    mutating func candidateLimit() {
        agent.setRemote(Self.theirs)
        for port in 1...100 { agent.add(NetworkAddress(ipv4: 1, port: UInt16(port))) }
        agent.advance(to: Self.time(0))
        #expect(transmissions().count == ICEControllingAgent.candidateLimit)
    }
}
