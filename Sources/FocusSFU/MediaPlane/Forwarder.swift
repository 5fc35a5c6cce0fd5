// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// One thread's way from a turn's packets to the subscribers' datagrams: admission, header, encryption, batch.
///
/// Only plain memory is touched for a packet: no stored property of a class, no reference count, no allocation.
final class Forwarder {
    let egress: EgressBatch
    private let counters: UnsafeMutablePointer<Counters>

    private struct Counters {
        var packets: UInt64 = 0
        var refused: UInt64 = 0
    }

    /// Nil when out of memory.
    init?(socket: Int32) {
        guard let egress = EgressBatch(socket: socket) else { return nil }
        self.egress = egress
        counters = .allocate(capacity: 1)
        counters.initialize(to: Counters())
    }

    deinit {
        egress.release()
        counters.deallocate()
    }

    /// Packets sent to subscribers.
    var packetsForwarded: UInt64 { counters.pointee.packets }

    /// What could not be encrypted or sent.
    var drops: DropCounters {
        var drops = egress.drops
        drops.count(.srtpMalformed, times: counters.pointee.refused)
        return drops
    }

    /// Forwards a turn to all subscribers. What one of them gets leaves in one flush, so that packets of equal size can
    /// be one segmented message, of whatever tracks they are: a large turn is therefore forwarded lane by lane.
    @inline(__always)
    func forward(_ turn: UnsafeMutablePointer<Turn>) {
        guard turn.pointee.trackCount > 1, turn.pointee.datagramCount > EgressBatch.slotCount else {
            return forward(turn, lane: nil)
        }
        for lane in 0..<SharedTurn.laneCount { forward(turn, lane: lane) }
    }

    /// Forwards a turn to all subscribers or to those of one lane, track by track and subscriber by subscriber. Each
    /// turn begins with another of them, for the last are the first to lose packets when the kernel takes no more.
    @inline(__always)
    func forward(_ turn: UnsafeMutablePointer<Turn>, lane: UInt8?) {
        for trackIndex in 0..<turn.pointee.trackCount {
            let track = turn.pointee.track(at: trackIndex)
            let packetCount = track.pointee.turnCount
            let count = track.pointee.subscriberCount
            let first = count > 0 ? turn.pointee.number % count : 0
            for offset in 0..<count {
                let subscriberIndex = first + offset < count ? first + offset : first + offset - count
                // The next of a lane stand further away.
                if lane == nil { track.pointee.prefetch(after: subscriberIndex) }
                let subscriber = track.pointee.subscribers[subscriberIndex]
                if let lane, subscriber.lane != lane { continue }
                guard subscriber.stream.pointee.isFlowing, let sender = subscriber.transport.pointee.sender,
                    subscriber.transport.pointee.canSendMedia
                else { continue }
                for index in 0..<packetCount {
                    send(
                        turn.pointee.packets + Int(track.pointee.turn[index]), to: subscriber, sender: sender,
                        at: turn.pointee.time)
                }
            }
        }
    }

    @inline(__always)
    private func send(
        _ packet: UnsafeMutablePointer<ReceivedPacket>, to subscriber: TrackRoute.Subscriber, sender: SRTPSender,
        at now: MonotonicTime
    ) {
        let stream = subscriber.stream
        guard let numbers = stream.pointee.admit(packet.pointee, at: now),
            let payload = packet.pointee.payload.baseAddress
        else { return }
        let slot = egress.nextSlot()
        let headerLength = PacketWriter.writeHeader(
            into: slot, payloadType: stream.pointee.payloadType, marker: packet.pointee.marker,
            sequence: numbers.sequence, timestamp: numbers.timestamp, ssrc: stream.pointee.ssrc,
            extensionID: stream.pointee.descriptorID, extensionValue: packet.pointee.descriptor)
        let length = sender.protect(
            header: slot, headerLength: headerLength, payload: payload, payloadLength: packet.pointee.payload.count,
            into: slot, capacity: EgressBatch.slotCapacity, state: &stream.pointee.srtp)
        guard length > 0 else {
            counters.pointee.refused &+= 1
            return
        }
        egress.commit(
            length: length, to: subscriber.transport.pointee.address, from: subscriber.transport.pointee.local,
            priority: stream.pointee.isVideo ? packet.pointee.isOfKeyFrame ? .keyFrame : .video : .audio)
        stream.pointee.countSent(payloadLength: packet.pointee.payload.count)
        counters.pointee.packets &+= 1
    }
}
