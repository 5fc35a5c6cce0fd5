// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import Testing

/// Two DTLS sessions joined in memory, with a clock made by hand and a say in which datagrams arrive.
final class DTLSLink {
    /// One end, with all that came out of it.
    final class End {
        let session: DTLSSession
        var keying: SRTPKeyingMaterial?
        var received: [[UInt8]] = []
        var isClosed = false
        var failure: DTLSError?
        var datagramsSent = 0

        init(_ session: DTLSSession) {
            self.session = session
        }
    }

    let client: End
    let server: End
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// Asked for each datagram, with its sender and number; true loses it.
    var loses: (DTLSRole, Int) -> Bool = { _, _ in false }

    init(
        clientProfiles: String = SRTPProfile.negotiationList,
        serverProfiles: String = SRTPProfile.negotiationList,
        clientExpects: CertificateFingerprint? = nil,
        serverExpects: CertificateFingerprint? = nil
    ) throws {
        let clientContext = try DTLSContext(
            certificate: DTLSCertificate(unixTimeSeconds: 1_800_000_000), profiles: clientProfiles)
        let serverContext = try DTLSContext(
            certificate: DTLSCertificate(unixTimeSeconds: 1_800_000_000), profiles: serverProfiles)
        client = End(
            try DTLSSession(
                context: clientContext, role: .client, expecting: clientExpects ?? serverContext.fingerprint))
        server = End(
            try DTLSSession(
                context: serverContext, role: .server, expecting: serverExpects ?? clientContext.fingerprint))
    }

    func start() {
        server.session.start(at: now)
        client.session.start(at: now)
    }

    /// Carries datagrams until both ends are quiet.
    func settle() {
        while drain(client, into: server) || drain(server, into: client) {}
    }

    /// Lets time pass to the next deadline of either end, again and again, until `done` or the limit.
    func run(milliseconds: UInt64, until done: () -> Bool) {
        let end = now.advanced(byMilliseconds: milliseconds)
        settle()
        while !done(), let next = [client, server].compactMap(\.session.nextDeadline).min(), next <= end {
            now = max(now, next)
            client.session.advance(to: now)
            server.session.advance(to: now)
            settle()
        }
    }

    func deliver(_ bytes: [UInt8], to end: End) -> Disposition {
        bytes.withUnsafeBytes { end.session.receive($0, at: now) }
    }

    private func drain(_ from: End, into to: End) -> Bool {
        var moved = false
        while let output = from.session.nextOutput() {
            switch output {
            case .transmit(let datagram):
                #expect(datagram.count <= DTLSSession.datagramLimit)
                defer { from.datagramsSent += 1 }
                guard !loses(from.session.role, from.datagramsSent) else { continue }
                _ = deliver(datagram, to: to)
                moved = true
            case .handshakeDone(let keying): from.keying = keying
            case .applicationData(let bytes): from.received.append(bytes)
            case .closed: from.isClosed = true
            case .failed(let error): from.failure = error
            }
        }
        return moved
    }
}

extension [UInt8] {
    /// Sends these bytes over a DTLS session.
    func send(over session: DTLSSession) -> Disposition {
        withUnsafeBytes { session.send($0) }
    }
}
