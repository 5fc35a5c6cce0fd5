// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import TURNCreds

/// Why a TURN server did not do what was asked.
enum TURNConnectionFault: Error, Equatable, Sendable {
    /// No connection, or one that broke.
    case connection(String)
    case server(TURNClientFault)

    /// What it means, in words.
    var cause: String {
        switch self {
        case .connection(let text): text
        case .server(.refused(let code)): Self.meaning(of: code)
        case .server(.noAnswer(0)): "no answer: nothing listens there, or a firewall is between"
        case .server(.noAnswer(let ignored)): "\(ignored) answers that prove nothing, none that counts"
        case .server(.malformedAnswer): "an answer that RFC 8656 does not know"
        case .server(.endlessNonces): "the server asks again and again for another nonce"
        case .server(.broken): "the connection broke, or is none of TURN"
        case .server(.digest): "OpenSSL refuses MD5 or HMAC-SHA-1, which TURN needs"
        }
    }

    /// The number of a refusal by the server.
    var refusalCode: Int? {
        if case .server(.refused(let code)) = self { code } else { nil }
    }

    private static func meaning(of code: Int) -> String {
        switch code {
        case 300: "300: the server sends clients to another one"
        case 400: "400: the server does not understand the request"
        case 401: "401: the credential is refused: another secret, another realm, or clocks that differ"
        case 403: "403: the peer is forbidden"
        case 437: "437: the server knows no such allocation"
        case 440: "440: the server has no relay address of that family"
        case 441: "441: the credential is another than that of the allocation"
        case 442: "442: the server does not relay that protocol"
        case 443: "443: the peer is of another address family"
        case 486: "486: the quota of the user is used up"
        case 508: "508: the server has no relay port left"
        default: "error \(code)"
        }
    }
}

/// A TURN client with its socket. Everything waits on the calling thread, until a deadline at most.
final class TURNConnection {
    private enum Carrier {
        case socket(TimedSocket)
        case tls(TLSStream)

        func write(_ bytes: [UInt8], by deadline: Deadline) throws(SocketFault) {
            switch self {
            case .socket(let socket): try socket.write(bytes, by: deadline)
            case .tls(let stream): try stream.write(bytes, by: deadline)
            }
        }

        func read(by deadline: Deadline) throws(SocketFault) -> [UInt8] {
            switch self {
            case .socket(let socket): try socket.read(by: deadline)
            case .tls(let stream): try stream.read(by: deadline)
            }
        }
    }

    private let carrier: Carrier
    private var client: TURNClient
    private var received: [(payload: [UInt8], peer: RelayAddress)] = []

    /// Connects.
    init(to server: TURNServer, username: String, password: String) throws(TURNConnectionFault) {
        let deadline = Deadline(after: TURNClient.timeLimitMilliseconds)
        do throws(SocketFault) {
            let socket = try TimedSocket(
                host: server.host, port: server.port, kind: server.transport == .udp ? .datagram : .stream, by: deadline
            )
            carrier =
                server.transport == .tls
                ? .tls(try TLSStream(over: socket, host: server.host, by: deadline)) : .socket(socket)
        } catch {
            throw .connection(error.description)
        }
        client = TURNClient(
            carrier: server.transport == .udp ? .datagrams : .stream, username: username, password: password)
    }

    /// Asks, and waits for the answer.
    @discardableResult
    func perform(_ operation: TURNOperation) throws(TURNConnectionFault) -> TURNAllocation? {
        client.start(operation, at: Deadline.now)
        while true {
            try turn(until: nil)
            for event in client.takeEvents() {
                switch event {
                case .allocated(let allocation): return allocation
                case .done: return nil
                case .failed(_, let fault): throw .server(fault)
                case .data(let payload, let peer): keep(payload, from: peer)
                }
            }
        }
    }

    func send(_ payload: [UInt8], to peer: RelayAddress) throws(TURNConnectionFault) {
        client.send(payload, to: peer)
        try flush()
    }

    /// The next data from a peer; nil when there is none in that time.
    func receive(withinMilliseconds limit: UInt64) throws(TURNConnectionFault) -> [UInt8]? {
        let deadline = Deadline(after: limit)
        while received.isEmpty, deadline.remaining > 0 {
            try turn(until: deadline)
            for case .data(let payload, let peer) in client.takeEvents() { keep(payload, from: peer) }
        }
        return received.isEmpty ? nil : received.removeFirst().payload
    }

    private func keep(_ payload: [UInt8], from peer: RelayAddress) {
        // What a probe sends is answered once; whoever sends more is no peer of ours.
        guard received.count < 16 else { return }
        received.append((payload, peer))
    }

    private func flush() throws(TURNConnectionFault) {
        do throws(SocketFault) {
            for bytes in client.takeOutput() {
                try carrier.write(bytes, by: Deadline(after: TURNClient.timeLimitMilliseconds))
            }
        } catch {
            throw .connection(error.description)
        }
    }

    /// Sends what is to be sent and waits for one piece of input, or for the client's or the caller's time.
    private func turn(until deadline: Deadline?) throws(TURNConnectionFault) {
        try flush()
        let ends = [deadline?.end, client.deadline].compactMap(\.self)
        do throws(SocketFault) {
            let bytes = try carrier.read(by: Deadline(at: ends.min() ?? Deadline.now))
            client.receive(bytes, at: Deadline.now)
        } catch {
            guard error == .timedOut else { throw .connection(error.description) }
        }
        client.tick(at: Deadline.now)
    }
}
