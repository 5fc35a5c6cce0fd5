// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Testing

@testable import FocusSFU

@Suite("Hostile packets of a load test")
struct FloodDatagramsTests {
    private static func datagrams(_ kind: FloodPlan.Kind, recorded: [[UInt8]] = []) throws -> [[UInt8]] {
        let context = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: UnixClock.seconds()))
        let track = GeneratedTrack(
            number: 0, isVideo: true, shape: .init(packetsPerSecond: 227, payloadBytes: 1_100), pacing: .steady)
        return FloodDatagrams(
            kind: kind, track: track, connection: try LoadConnection(context: context), recorded: recorded,
            context: context
        ).make()
    }

    /// Like a video packet of 100 bytes.
    private static let packet: [UInt8] = [0x80, 96, 0, 1] + (4..<100).map { UInt8($0) }

    @Test(
        "media looks like the publisher's, each with a number of its own",
        arguments: [FloodPlan.Kind.strangers, .forgery])
    func media(_ kind: FloodPlan.Kind) throws {
        let datagrams = try Self.datagrams(kind, recorded: [Self.packet])
        #expect(datagrams.count == FloodDatagrams.count)
        #expect(
            datagrams.allSatisfy { $0.count == 100 && $0[..<2] == [0x80, 96] && $0[4..<12] == Self.packet[4..<12] })
        #expect(Set(datagrams.map { $0[2..<4] }).count == FloodDatagrams.count)
        #expect(try Self.datagrams(kind).isEmpty, "nothing to imitate")
    }

    @Test("replays are what was recorded")
    func replay() throws {
        #expect(try Self.datagrams(.replay, recorded: [Self.packet]) == [Self.packet])
    }

    @Test("checks are well-formed in all but the signature")
    func checks() throws {
        let datagrams = try Self.datagrams(.stunUser)
        try datagrams[0].withUnsafeBytes { bytes in
            let message = try STUNMessage(reading: bytes)
            #expect(message.messageClass == .request && message.integrityOffset != nil)
            #expect(ICELiteAgent.localUsernameFragment(of: bytes) != nil)
        }
        #expect(try Self.datagrams(.stunPassword).isEmpty, "no participant to be mistaken for")
    }

    @Test("first flights are DTLS handshake records with fresh randoms")
    func clientHellos() throws {
        let datagrams = try Self.datagrams(.clientHello)
        #expect(!datagrams.isEmpty && datagrams.allSatisfy { $0[0] == 22 && $0.count > 100 })
        #expect(Set(datagrams).count == datagrams.count)
    }
}
