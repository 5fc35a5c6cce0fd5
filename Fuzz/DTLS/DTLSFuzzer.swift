// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import FocusSFU
import FuzzInput

/// Certificates are made once: making one costs more than a handshake. Main thread only, as libFuzzer calls.
private struct Ends {
    let client: DTLSContext
    let server: DTLSContext

    init() throws(DTLSError) {
        client = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: 1_700_000_000))
        server = try DTLSContext(certificate: DTLSCertificate(unixTimeSeconds: 1_700_000_000))
    }
}

private let ends = try? Ends()

/// A handshake on a path that a hostile party can read and write.
///
///     | action | length (2) | bytes | …
///
/// The low bits of an action: 0 brings the server the bytes, 1 lets what both sides have sent arrive, 2 delivers the
/// client's next datagram changed by the bytes (place, change, …), 3 lets time pass.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzDTLS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let ends,
        let client = try? DTLSSession(context: ends.client, role: .client, expecting: ends.server.fingerprint),
        let server = try? DTLSSession(context: ends.server, role: .server, expecting: ends.client.fingerprint)
    else { return 0 }
    var input = FuzzInput(start, count)
    var path = HostilePath(client: client, server: server)
    path.begin()
    var actions = 0
    while !input.isEmpty, actions < 64 {
        let action = input.nextByte()
        path.take(action, input.nextDatagram())
        actions += 1
    }
    return 0
}

private struct HostilePath {
    let client: DTLSSession
    let server: DTLSSession
    private var now = MonotonicTime(nanoseconds: 1_000_000_000)
    private var toServer: [[UInt8]] = []
    private var toClient: [[UInt8]] = []

    init(client: DTLSSession, server: DTLSSession) {
        self.client = client
        self.server = server
    }

    mutating func begin() {
        client.start(at: now)
        server.start(at: now)
        drain()
    }

    mutating func take(_ action: UInt8, _ bytes: UnsafeRawBufferPointer) {
        switch action & 3 {
        case 0:
            _ = server.receive(bytes, at: now)
        case 1:
            exchange()
        case 2:
            deliverChanged(bytes)
        default:
            now = now.advanced(byMilliseconds: 64 * UInt64(action >> 2))
            client.advance(to: now)
            server.advance(to: now)
        }
        drain()
    }

    private mutating func exchange() {
        let (forServer, forClient) = (toServer, toClient)
        toServer = []
        toClient = []
        for datagram in forServer { _ = datagram.withUnsafeBytes { server.receive($0, at: now) } }
        for datagram in forClient { _ = datagram.withUnsafeBytes { client.receive($0, at: now) } }
    }

    private mutating func deliverChanged(_ changes: UnsafeRawBufferPointer) {
        guard !toServer.isEmpty else { return }
        var datagram = toServer.removeFirst()
        for index in stride(from: 0, to: changes.count - 2, by: 3) where !datagram.isEmpty {
            let place = Int(changes[index]) << 8 | Int(changes[index + 1])
            datagram[place % datagram.count] ^= changes[index + 2]
        }
        _ = datagram.withUnsafeBytes { server.receive($0, at: now) }
    }

    private mutating func drain() {
        while let output = client.nextOutput() {
            if case .transmit(let datagram) = output { toServer.append(datagram) }
        }
        while let output = server.nextOutput() {
            switch output {
            case .transmit(let datagram):
                precondition(datagram.count <= DTLSSession.datagramLimit, "a datagram that is too long")
                toClient.append(datagram)
            case .handshakeDone:
                precondition(server.isConnected || server.isClosed, "keys before the end of the handshake")
            case .applicationData, .closed, .failed:
                break
            }
        }
        toServer = Array(toServer.suffix(64))
        toClient = Array(toClient.suffix(64))
    }
}
