// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What the channels want done or have to tell, in order.
package enum DataChannelOutput: Equatable, Sendable {
    /// Send one packet as one DTLS message.
    case transmit([UInt8])
    /// The association is up; channels opened before are being announced.
    case connected
    /// Opened by the peer, or opened here and acknowledged.
    case opened(DataChannel)
    case message(channel: UInt16, kind: DataMessageKind, bytes: [UInt8])
    /// Closed by either side; the number may be used again.
    case closed(channel: UInt16)
    /// Something of the peer's went no further; counted by the caller.
    case refused(DropReason)
    /// The association has ended, and all channels with it.
    case associationClosed
}

/// Why a channel could not be opened.
package enum DataChannelError: Error, Equatable, Sendable {
    /// ``DataChannels/channelLimit`` channels exist.
    case tooManyChannels
    case associationClosed
}

/// The data channels of one peer over one SCTP association (RFC 8831, RFC 8832).
///
/// Belongs to the association's thread. Drain ``nextOutput()`` after each call and when woken.
package final class DataChannels {
    /// Channels open at a time, both sides' together.
    package static let channelLimit = 64

    /// Payload protocol identifiers, RFC 8831 §8.
    private enum PayloadProtocol {
        static let establishment: UInt32 = 50
        static let text: UInt32 = 51
        static let binary: UInt32 = 53
        static let emptyText: UInt32 = 56
        static let emptyBinary: UInt32 = 57
    }

    private let association: SCTPAssociation
    /// The DTLS client opens even numbers, the server odd ones (RFC 8832 §6).
    private let firstID: UInt16
    private var channels: [UInt16: DataChannel] = [:]
    private var outputs: [DataChannelOutput] = []
    private var drained = 0

    /// - Parameter role: our part in the DTLS handshake.
    package init(role: DTLSRole, association: SCTPAssociation) {
        self.association = association
        firstID = role == .client ? 0 : 1
    }

    package var associationID: SCTPAssociationID { association.id }
    package var isConnected: Bool { association.isConnected }
    /// Bytes queued for sending or in flight, of all channels.
    package var bufferedAmount: Int { association.bufferedAmount }

    package func channel(_ id: UInt16) -> DataChannel? { channels[id] }

    // MARK: Inputs

    /// Starts the association. Call once DTLS is up.
    package func connect() {
        association.connect()
        collect()
    }

    /// Takes one SCTP packet from DTLS.
    package func receive(_ packet: UnsafeRawBufferPointer) -> Disposition {
        let disposition = association.receive(packet)
        collect()
        return disposition
    }

    /// Opens a channel, announced as soon as the association is up.
    /// - Returns: its number.
    package func open(_ parameters: DataChannelParameters) throws(DataChannelError) -> UInt16 {
        guard !association.isClosed else { throw .associationClosed }
        guard channels.count < Self.channelLimit,
            let id = stride(from: firstID, to: SCTPAssociation.streamCount, by: 2).first(where: { channels[$0] == nil })
        else { throw .tooManyChannels }
        channels[id] = DataChannel(id: id, parameters: parameters, isRemote: false, state: .waiting)
        announceWaiting()
        collect()
        return id
    }

    /// Queues one message; never waits.
    package func send(_ bytes: UnsafeRawBufferPointer, kind: DataMessageKind, on id: UInt16) -> SCTPSendResult {
        guard let channel = channels[id] else { return .unknownStream }
        switch channel.state {
        case .waiting: return .notConnected
        case .closing: return .unknownStream
        case .opening, .open: break
        }
        defer { collect() }
        let parameters = channel.parameters
        // Before the acknowledgement an unordered message could arrive before the announcement (RFC 8832 §6).
        let ordered = parameters.ordered || channel.state == .opening
        guard bytes.isEmpty else {
            return association.send(
                stream: id, payloadProtocol: kind == .text ? PayloadProtocol.text : PayloadProtocol.binary,
                bytes: bytes,
                ordered: ordered, reliability: parameters.reliability)
        }
        // SCTP has no empty messages: one zero byte stands for it.
        return withUnsafeBytes(of: UInt8(0)) { zero in
            association.send(
                stream: id,
                payloadProtocol: kind == .text ? PayloadProtocol.emptyText : PayloadProtocol.emptyBinary, bytes: zero,
                ordered: ordered, reliability: parameters.reliability)
        }
    }

    /// Closes a channel; `closed` follows when the peer has done the same.
    package func close(_ id: UInt16) {
        guard let channel = channels[id], channel.state != .closing else { return }
        guard channel.state != .waiting else {
            channels[id] = nil
            outputs.append(.closed(channel: id))
            return
        }
        channels[id]?.state = .closing
        association.resetStream(id)
        collect()
    }

    /// Ends the association at once. Drain once more to have the last packet sent.
    package func closeAssociation() {
        association.close()
        channels = [:]
        collect()
    }

    // MARK: Outputs

    /// The next thing to do; nil when there is none.
    package func nextOutput() -> DataChannelOutput? {
        if drained == outputs.count {
            outputs.removeAll(keepingCapacity: false)
            drained = 0
            collect()
        }
        guard drained < outputs.count else { return nil }
        defer { drained += 1 }
        return outputs[drained]
    }

    private func collect() {
        while let output = association.nextOutput() {
            switch output {
            case .transmit(let packet):
                outputs.append(.transmit(packet))
            case .connected:
                outputs.append(.connected)
                announceWaiting()
            case .message(let stream, let payloadProtocol, let bytes):
                messageReceived(stream: stream, payloadProtocol: payloadProtocol, bytes: bytes)
            case .messageRefused:
                outputs.append(.refused(.dataMessageTooLong))
            case .streamsReset(let incoming, let outgoing, let streams):
                for stream in streams { streamReset(stream, incoming: incoming, outgoing: outgoing) }
            case .closed:
                channels = [:]
                outputs.append(.associationClosed)
            }
        }
    }

    private func announceWaiting() {
        guard association.isConnected else { return }
        for id in channels.keys.sorted() {
            guard let channel = channels[id], channel.state == .waiting else { continue }
            // A full buffer leaves it waiting; the next output tries again.
            guard sendEstablishment(.open(channel.parameters), on: id) == .queued else { return }
            channels[id]?.state = .opening
        }
    }

    private func sendEstablishment(_ message: DCEPMessage, on id: UInt16) -> SCTPSendResult {
        message.bytes.withUnsafeBytes {
            association.send(stream: id, payloadProtocol: PayloadProtocol.establishment, bytes: $0)
        }
    }

    // MARK: From the peer

    private func messageReceived(stream: UInt16, payloadProtocol: UInt32, bytes: [UInt8]) {
        switch payloadProtocol {
        case PayloadProtocol.establishment:
            do {
                let message = try bytes.withUnsafeBytes { try DCEPMessage($0) }
                establishmentReceived(message, stream: stream)
            } catch {
                outputs.append(.refused(.dataMalformed))
                if channels[stream] == nil { association.resetStream(stream) }
            }
        case PayloadProtocol.text: userMessage(stream, .text, bytes)
        case PayloadProtocol.binary: userMessage(stream, .binary, bytes)
        case PayloadProtocol.emptyText: userMessage(stream, .text, [])
        case PayloadProtocol.emptyBinary: userMessage(stream, .binary, [])
        default: outputs.append(.refused(.dataMalformed))
        }
    }

    private func userMessage(_ stream: UInt16, _ kind: DataMessageKind, _ bytes: [UInt8]) {
        guard let channel = channels[stream], channel.state != .waiting else {
            outputs.append(.refused(.dataUnknownChannel))
            return
        }
        // Something of the peer's on the channel says as much as the acknowledgement (RFC 8832 §6).
        if channel.state == .opening { becameOpen(stream) }
        outputs.append(.message(channel: stream, kind: kind, bytes: bytes))
    }

    private func establishmentReceived(_ message: DCEPMessage, stream: UInt16) {
        switch message {
        case .acknowledgement:
            guard let channel = channels[stream] else { return outputs.append(.refused(.dataUnknownChannel)) }
            if channel.state == .opening { becameOpen(stream) }
        case .open(let parameters):
            // Our numbers are ours to open, and an open channel cannot be opened again (RFC 8832 §6).
            guard channels[stream] == nil, stream % 2 != firstID % 2, channels.count < Self.channelLimit else {
                outputs.append(.refused(.dataNotPermitted))
                if channels[stream] == nil { association.resetStream(stream) }
                return
            }
            let channel = DataChannel(id: stream, parameters: parameters, isRemote: true, state: .open)
            channels[stream] = channel
            // With a full send buffer the acknowledgement is left out: our first message says as much.
            _ = sendEstablishment(.acknowledgement, on: stream)
            outputs.append(.opened(channel))
        }
    }

    private func becameOpen(_ id: UInt16) {
        channels[id]?.state = .open
        if let channel = channels[id] { outputs.append(.opened(channel)) }
    }

    private func streamReset(_ id: UInt16, incoming: Bool, outgoing: Bool) {
        guard var channel = channels[id] else { return }
        channel.incomingReset = channel.incomingReset || incoming
        channel.outgoingReset = channel.outgoingReset || outgoing
        let mustAnswer = incoming && channel.state != .closing
        channel.state = .closing
        channels[id] = channel
        if mustAnswer { association.resetStream(id) }
        guard channel.incomingReset, channel.outgoingReset else { return }
        channels[id] = nil
        outputs.append(.closed(channel: id))
    }
}
