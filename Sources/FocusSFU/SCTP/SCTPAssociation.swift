// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

internal import CUsrSCTP
internal import Glibc

/// What an association wants done or has to tell, in order.
package enum SCTPOutput: Equatable, Sendable {
    /// Send one packet as one DTLS message.
    case transmit([UInt8])
    /// Both sides are up.
    case connected
    /// A whole message.
    case message(stream: UInt16, payloadProtocol: UInt32, bytes: [UInt8])
    /// Streams that began anew: incoming by the peer's wish, outgoing by ours.
    case streamsReset(incoming: Bool, outgoing: Bool, streams: [UInt16])
    /// A message was longer than ``SCTPAssociation/receiveLimit`` and was thrown away.
    case messageRefused(stream: UInt16)
    /// The association has ended: by the peer, by silence, or because it did not come up. Nothing more will come.
    case closed
}

/// What became of a message to send.
package enum SCTPSendResult: Equatable, Sendable {
    case queued
    /// The send buffer has no room; nothing was taken. Try again when ``SCTPAssociation/bufferedAmount`` has shrunk.
    case full
    /// Longer than ``SCTPAssociation/sendLimit``.
    case tooLong
    case notConnected
    /// No such stream, or one that is being reset.
    case unknownStream
}

/// Why an association could not be made.
package enum SCTPError: Error, Equatable, Sendable {
    /// usrsctp refused, with its errno.
    case socket(errno: Int32)
}

/// How hard the network is tried for a message (RFC 8831 §6.1, RFC 3758).
package enum SCTPReliability: Equatable, Sendable {
    case reliable
    case maxRetransmits(UInt16)
    case maxLifetimeMilliseconds(UInt16)
}

/// One SCTP association over a DTLS connection (RFC 8831, RFC 8261): packets in, packets and events out.
///
/// Both sides start it at once, as WebRTC endpoints do. Checksums are on. Belongs to one thread; see ``SCTPStack``.
/// After each call, and when woken, drain ``nextOutput()``.
package final class SCTPAssociation {
    /// `a=sctp-port`, ours and the peer's (RFC 8841).
    package static let port: UInt16 = 5_000
    /// Streams in each direction.
    package static let streamCount: UInt16 = 256
    /// Bytes of the largest message sent.
    package static let sendLimit = 65_536
    /// Bytes of the largest message received.
    package static let receiveLimit = 262_144
    /// Bytes queued for sending or in flight, at most.
    package static let sendBufferLimit = 262_144
    /// Bytes of the largest packet, ours and the peer's.
    package static let packetLimit = 2_048
    /// Bytes of a packet we send without the common header of 12: with it a DTLS message can hold it.
    private static let pathMTU: UInt32 = 1_148

    private enum State {
        case idle
        case connecting
        case connected
        case closed
    }

    package let id: SCTPAssociationID
    private let stack: SCTPStack
    private let mailbox: SCTPMailbox
    private var socket: OpaquePointer?
    private var state = State.idle
    private var partial = SCTPReassembly()
    private var outputs: [SCTPOutput] = []
    private var drained = 0
    private var unresetStreams: [UInt16] = []

    /// - Parameter onReady: called when there is output that no call of the owner produced; see ``SCTPStack``.
    package init(
        stack: SCTPStack = .process,
        onReady: @escaping @Sendable (SCTPAssociationID) -> Void
    ) throws(SCTPError) {
        let (id, mailbox) = stack.register(onReady: onReady)
        self.id = id
        self.stack = stack
        self.mailbox = mailbox
        socket = CUsrSCTP_open(
            id.rawValue,
            CUsrSCTP_options(
                port: Self.port,
                streams: Self.streamCount,
                initAttempts: 8,
                longestInitTimeoutMilliseconds: 4_000,
                pathMTU: Self.pathMTU,
                sendBufferBytes: Int32(Self.sendBufferLimit),
                receiveBufferBytes: Int32(Self.receiveLimit)
            ))
        guard socket != nil else {
            let code = errno
            stack.deregister(id)
            throw .socket(errno: code)
        }
    }

    deinit {
        release()
    }

    package var isConnected: Bool { state == .connected }
    package var isClosed: Bool { state == .closed }

    /// Bytes queued for sending or sent and not acknowledged, of all streams.
    package var bufferedAmount: Int {
        guard let socket, state == .connected else { return 0 }
        return Int(CUsrSCTP_buffered_amount(socket))
    }

    // MARK: Inputs

    /// Starts the association. Call once DTLS is up; the peer does the same, and who is first does not matter.
    package func connect() {
        guard let socket, state == .idle else { return }
        state = .connecting
        mailbox.ownerEnters()
        if CUsrSCTP_connect(socket, id.rawValue, Self.port) != 0 { end() }
        collect()
    }

    /// Takes one SCTP packet from DTLS.
    package func receive(_ packet: UnsafeRawBufferPointer) -> Disposition {
        guard packet.count <= Self.packetLimit else { return .dropped(.tooLong) }
        // Common header and one chunk header.
        guard packet.count >= 16 else { return .dropped(.tooShort) }
        guard state == .connecting || state == .connected else { return .dropped(.sctpBeforeHandshake) }
        let source = UInt16(bigEndian: packet.loadUnaligned(as: UInt16.self))
        let destination = UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard source == Self.port, destination == Self.port else { return .dropped(.sctpMalformed) }
        mailbox.ownerEnters()
        CUsrSCTP_receive(id.rawValue, packet.baseAddress, packet.count)
        collect()
        return .accepted
    }

    /// Queues one message; never waits.
    package func send(
        stream: UInt16,
        payloadProtocol: UInt32,
        bytes: UnsafeRawBufferPointer,
        ordered: Bool = true,
        reliability: SCTPReliability = .reliable
    ) -> SCTPSendResult {
        guard let socket, state == .connected else { return .notConnected }
        guard bytes.count <= Self.sendLimit else { return .tooLong }
        guard stream < Self.streamCount else { return .unknownStream }
        let (policy, value): (CUsrSCTP_policy, UInt32) =
            switch reliability {
            case .reliable: (CUsrSCTP_reliable, 0)
            case .maxRetransmits(let count): (CUsrSCTP_retransmits, UInt32(count))
            case .maxLifetimeMilliseconds(let time): (CUsrSCTP_lifetime, UInt32(time))
            }
        mailbox.ownerEnters()
        let code = CUsrSCTP_send(
            socket, stream, payloadProtocol, ordered ? 1 : 0, policy, value, bytes.baseAddress, bytes.count)
        collect()
        switch code {
        case 0: return .queued
        case EWOULDBLOCK, ENOBUFS, ENOMEM: return .full
        case EMSGSIZE: return .tooLong
        case EINVAL: return .unknownStream
        default: return .notConnected
        }
    }

    /// Asks that our direction of a stream begin anew, which closes a data channel (RFC 6525, RFC 8831 §6.7).
    /// What was queued before goes out first. While another request is under way this one waits.
    package func resetStream(_ stream: UInt16) {
        guard state == .connected, !unresetStreams.contains(stream) else { return }
        unresetStreams.append(stream)
        mailbox.ownerEnters()
        requestResets()
        collect()
    }

    /// Ends the association at once (ABORT). Drain once more to have the last packet sent.
    package func close() {
        guard state != .closed else { return }
        mailbox.ownerEnters()
        release()
        state = .closed
        for case .packet(let packet) in mailbox.take() { outputs.append(.transmit(packet)) }
    }

    // MARK: Outputs

    /// The next thing to do; nil when there is none.
    package func nextOutput() -> SCTPOutput? {
        if drained == outputs.count {
            outputs.removeAll(keepingCapacity: false)
            drained = 0
            if state != .closed {
                collect()
                if !unresetStreams.isEmpty {
                    mailbox.ownerEnters()
                    requestResets()
                    collect()
                }
            }
        }
        guard drained < outputs.count else { return nil }
        defer { drained += 1 }
        return outputs[drained]
    }

    /// Turns what the callbacks left into outputs.
    private func collect() {
        for delivery in mailbox.take() where state != .closed {
            switch delivery {
            case .packet(let packet):
                outputs.append(.transmit(packet))
            case .data(let stream, let payloadProtocol, let bytes, let endsMessage):
                if let output = partial.add(
                    stream: stream, payloadProtocol: payloadProtocol, bytes: bytes, endsMessage: endsMessage)
                {
                    outputs.append(output)
                }
            case .connected:
                guard state == .connecting else { continue }
                state = .connected
                outputs.append(.connected)
            case .streamsReset(let incoming, let outgoing, let streams):
                outputs.append(.streamsReset(incoming: incoming, outgoing: outgoing, streams: streams))
            case .lost:
                end()
            }
        }
    }

    private func requestResets() {
        guard let socket else { return }
        while let stream = unresetStreams.first {
            let code = CUsrSCTP_reset_outgoing_stream(socket, stream)
            // One request at a time, and none before the stream's queue is empty: asked again with the next output.
            if code == EALREADY || code == EAGAIN || code == EINPROGRESS || code == EBUSY { return }
            unresetStreams.removeFirst()
        }
    }

    private func end() {
        guard state != .closed else { return }
        state = .closed
        release()
        outputs.append(.closed)
    }

    /// Closes the socket, which with a linger time of zero aborts, and forgets the number: later callbacks find
    /// nothing.
    private func release() {
        if let socket {
            self.socket = nil
            CUsrSCTP_close(id.rawValue, socket)
        }
        stack.deregister(id)
    }
}
