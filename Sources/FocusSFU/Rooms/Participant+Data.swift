// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import SwiftProtobuf

/// Data packets: from a participant's channels to those of the others.
extension Participant {
    /// Opens the server's channels on the subscriber connection; with a single one the client opens them.
    func dataTransportReady(_ transport: PeerTransport) {
        guard transport === subscriber, let channels = transport.channels else { return }
        do {
            data.reliableChannel = try channels.open(DataChannelParameters(label: DataTraffic.reliableLabel))
            data.lossyChannel = try channels.open(
                DataChannelParameters(
                    label: DataTraffic.lossyLabel, ordered: false, reliability: .maxRetransmits(0)))
        } catch {
            room.plane.count(.dataUnknownChannel)
        }
        data.wasOpen = true
        flushData()
    }

    func dataChannelOpened(_ channel: DataChannel, on transport: PeerTransport) {
        guard channel.isRemote, transport === publisher else { return }
        data.labels[channel.id] = channel.parameters.label
        guard usesSinglePeerConnection else { return }
        switch channel.parameters.label {
        case DataTraffic.reliableLabel:
            data.reliableChannel = channel.id
            data.wasOpen = true
            flushData()
        case DataTraffic.lossyLabel:
            data.lossyChannel = channel.id
            flushData()
        default:
            break
        }
    }

    func dataChannelClosed(_ channel: UInt16, on transport: PeerTransport) {
        if transport === publisher { data.labels[channel] = nil }
        guard transport === downstream else { return }
        if data.reliableChannel == channel { data.reliableChannel = nil }
        if data.lossyChannel == channel { data.lossyChannel = nil }
    }

    func dataReceived(_ bytes: [UInt8], channel: UInt16, on transport: PeerTransport) {
        let plane = room.plane
        guard permission.canPublishData else { return plane.count(.dataNotPermitted) }
        guard let label = data.labels[channel] else { return plane.count(.dataUnknownChannel) }
        var packet: LiveKitDataPacket
        switch label {
        case DataTraffic.reliableLabel, DataTraffic.lossyLabel:
            guard let parsed = try? LiveKitDataPacket(serializedBytes: bytes) else {
                return plane.count(.dataMalformed)
            }
            packet = parsed
        default:
            // Channels with labels of the application's own carry raw bytes, which others get as user packets.
            packet = LiveKitDataPacket()
            packet.user.payload = bytes.asData
        }
        let isReliable = label != DataTraffic.lossyLabel
        if isReliable, packet.sequence != 0 {
            guard packet.sequence > data.lastSequence else { return plane.count(.dataReplayed) }
            data.lastSequence = packet.sequence
        }
        switch packet.value {
        case nil: return plane.count(.dataMalformed)
        case .transcription where kind != .agent: return plane.count(.dataNotPermitted)
        // Who speaks is for the server to say.
        case .speaker: return plane.count(.dataNotPermitted)
        // Client statistics are for the server.
        case .metrics: return
        default: break
        }
        // What may be lost is not sent at the price of media.
        guard isReliable || !plane.isShedding,
            data.allowance.take(
                byteCount: bytes.count, isReliable: isReliable, receivers: room.receivers(of: packet), at: plane.now)
        else { return plane.count(.dataTooMuch) }
        packet.kind = isReliable ? .reliable : .lossy
        packet.participantSid = sid
        packet.participantIdentity = isHidden ? "" : identity
        if case .user = packet.value {
            packet.user.participantSid = packet.participantSid
            packet.user.participantIdentity = packet.participantIdentity
        }
        room.distribute(packet, isReliable: isReliable, from: self)
    }

    /// Sends one serialised data packet to this participant, now or as soon as its channel takes it.
    func deliver(_ message: [UInt8], isReliable: Bool) {
        let channel = isReliable ? data.reliableChannel : data.lossyChannel
        if let channel, !isReliable || data.waiting.isEmpty, sendData(message, on: channel) { return }
        // Lossy messages wait only for a client that has just come; later a full buffer is their end.
        guard isReliable || channel == nil else { return }
        let limit = room.plane.configuration.limits.pendingDataBytes
        if !data.enqueue(message, isReliable: isReliable, pendingLimit: limit) { room.plane.count(.dataReceiverSlow) }
    }

    func flushData() {
        guard !data.waiting.isEmpty, let reliable = data.reliableChannel, let lossy = data.lossyChannel else { return }
        data.flush { sendData($0.message, on: $0.isReliable ? reliable : lossy) || !$0.isReliable }
    }

    /// False when the message must wait.
    private func sendData(_ message: [UInt8], on channel: UInt16) -> Bool {
        guard let channels = downstream.channels else { return false }
        let result = message.withUnsafeBytes { channels.send($0, kind: .binary, on: channel) }
        downstream.drainData()
        switch result {
        case .queued: return true
        case .full, .notConnected: return false
        case .tooLong, .unknownStream:
            // Waiting would not help.
            room.plane.count(.dataMessageTooLong)
            return true
        }
    }
}

extension Room {
    /// How many a packet is meant for, at most.
    func receivers(of packet: LiveKitDataPacket) -> Int {
        var named = packet.destinationIdentities.count
        if case .user(let user) = packet.value {
            named += user.destinationIdentities.count + user.destinationSids.count
        }
        return named == 0 ? order.count - 1 : min(named, order.count)
    }

    /// Gives a packet to those it is meant for: all others, or the identities and sids it names.
    func distribute(_ packet: LiveKitDataPacket, isReliable: Bool, from sender: Participant?) {
        var identities = Set(packet.destinationIdentities)
        var sids: Set<String> = []
        if case .user(let user) = packet.value {
            identities.formUnion(user.destinationIdentities)
            sids = Set(user.destinationSids)
        }
        guard let message: [UInt8] = try? packet.serializedBytes() else { return }
        guard message.count <= LocalTransport.maxMessageSize else { return plane.count(.dataMessageTooLong) }
        for participant in order where participant !== sender {
            guard
                identities.isEmpty && sids.isEmpty || identities.contains(participant.identity)
                    || sids.contains(participant.sid)
            else { continue }
            participant.deliver(message, isReliable: isReliable)
        }
    }
}
