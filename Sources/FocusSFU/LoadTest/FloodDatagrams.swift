// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Makes the datagrams of a flood, all of them before it begins.
struct FloodDatagrams {
    /// Different datagrams, sent over and over.
    static let count = 1_024
    private static let largest = 1_200

    let kind: FloodPlan.Kind
    /// Of the publisher whose call is disturbed.
    let track: GeneratedTrack
    let connection: LoadConnection
    /// Packets that it has sent lately.
    let recorded: [[UInt8]]
    let context: DTLSContext

    /// Empty when there is nothing to send: no packet recorded, no credentials, no cipher.
    func make() -> [[UInt8]] {
        switch kind {
        case .garbage: (0..<Self.count).map { _ in Random.bytes(.random(in: 20...Self.largest)) }
        case .replay: recorded
        case .strangers: media { track.nextSequence &+ UInt16($0) }
        // Ahead of what it will send during the test, and less than half a cycle, so that no number is an old one.
        case .forgery: media { track.nextSequence &+ 15_000 &+ UInt16($0) }
        case .stunUser: checks(for: "nobody-at-all")
        case .stunPassword: connection.remoteUsernameFragment.map { checks(for: $0) } ?? []
        case .clientHello, .ownClientHello: clientHellos()
        }
    }

    private func media(_ sequence: (Int) -> UInt16) -> [[UInt8]] {
        guard let packet = recorded.last else { return [] }
        return (0..<Self.count).map { index in
            var writer = ByteWriter(reservingCapacity: packet.count)
            writer.write(contentsOf: packet[..<2])
            writer.write(sequence(index))
            writer.write(contentsOf: packet[4..<12])
            writer.write(contentsOf: Random.bytes(packet.count - 12))
            return writer.bytes
        }
    }

    private func checks(for usernameFragment: String) -> [[UInt8]] {
        (0..<Self.count).map { _ in
            var writer = ByteWriter(reservingCapacity: 128)
            writer.writeSTUNHeader(
                .request, transactionID: .init(high: Random.uint32(), low: Random.uint64()))
            writer.writeSTUNUsername("\(usernameFragment):\(connection.ice.credentials.usernameFragment)".utf8)
            writer.writeSTUNPriority(Candidate.priority(.peerReflexive, localPreference: .max, component: 1))
            writer.writeSTUNRole(.controlling(Random.uint64()))
            writer.writeMessageIntegrity(key: Random.bytes(24))
            writer.writeSTUNFingerprint()
            return writer.bytes
        }
    }

    private func clientHellos() -> [[UInt8]] {
        (0..<64).compactMap { _ in
            guard
                let session = try? DTLSSession(context: context, role: .client, expecting: context.fingerprint)
            else { return nil }
            session.start(at: MonotonicClock.now())
            guard case .transmit(let bytes)? = session.nextOutput() else { return nil }
            return bytes
        }
    }
}
