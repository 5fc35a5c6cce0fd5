// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The VideoRoom plugin of a Janus server, on its WebSocket transport: one connection to send, another to receive.
final class JanusSignalling: LoadSignalling {
    /// The server ends a session from which it has heard nothing for a minute.
    private static let keepAliveMilliseconds: UInt64 = 20_000

    let socket: SignalSocket
    private var session: JanusSession
    private var spokenAt: MonotonicTime

    /// Begins to join.
    /// - Parameters:
    ///   - sending: what the offer says; nil when nothing is sent.
    ///   - receiving: what the answers say; nil when nothing is received.
    init(
        index: Int, plan: LoadTestPlan, room: UInt32, address: ResolvedAddress, tracks: [GeneratedTrack],
        sending: LoadEndpoint?, receiving: LoadEndpoint?, at now: MonotonicTime
    ) throws(SocketError) {
        var publication = sending.map { ClientDescription($0) }
        for track in tracks { publication?.addSending(isVideo: track.isVideo, ssrc: track.ssrc, cid: track.cid) }
        session = JanusSession(
            room: room, identity: UInt64(index) + 1, publisherLimit: plan.roles.count { $0.publishes },
            publication: publication, answers: receiving.map { ClientAnswer($0) })
        socket = try SignalSocket(
            to: address, authority: plan.url.authority, path: plan.url.prefix.isEmpty ? "/" : plan.url.prefix,
            header: ("Sec-WebSocket-Protocol", "janus-protocol"))
        spokenAt = now
    }

    func advance(_ handle: (LoadSignal) -> Void) {
        socket.advance { event in
            switch event {
            case .opened: session.begin()
            case .text(let text): session.receive(text)
            case .binary: break
            case .refused(let status, let body): handle(.refused(status: status, body: body))
            case .failed(let reason): handle(.failed(reason))
            }
            drain(handle)
        }
    }

    func keepAlive(at now: MonotonicTime) {
        guard now.milliseconds(since: spokenAt) > Self.keepAliveMilliseconds else { return }
        spokenAt = now
        session.keepAlive()
        drain { _ in }
    }

    func leave() {
        session.leave()
        drain { _ in }
    }

    private func drain(_ handle: (LoadSignal) -> Void) {
        while let output = session.nextOutput() {
            switch output {
            case .message(let text): socket.send(text: text)
            case .signal(let signal): handle(signal)
            }
        }
    }
}
