// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The sending half of one subscription: what a forwarded packet touches, in one plain struct allocated once.
///
/// ``DownTrack`` owns the memory and decides; the packet path reads and writes it through a pointer.
package struct DownStream {
    /// Numbers that are remembered as sent: two seconds of video at 227 packets a second, ten of audio.
    private typealias Window = SequenceWindow<8>

    /// How often one packet was sent again.
    private struct Resent {
        var index: UInt32 = 0
        var allowance = RetransmissionAllowance()
    }

    package let ssrc: UInt32
    /// Zero for audio, which is sent again as it was.
    package let rtxSSRC: UInt32
    package private(set) var payloadType: UInt8 = 0
    package private(set) var rtxPayloadType: UInt8 = 0
    /// Negotiated id of the dependency descriptor, zero when the subscriber did not take it.
    package private(set) var descriptorID: UInt8 = 0
    package let isVideo: Bool
    package let clockRate: UInt32

    /// Layer being forwarded; -1 until the first key frame (audio: until the first packet).
    package private(set) var currentLayer: Int8 = -1
    /// Layer wanted; the switch happens at its next key frame.
    package var targetLayer: Int8 = 0
    /// Forwarding is off while false: not negotiated, not connected, or disabled by the subscriber.
    package var isFlowing = false

    package var srtp = SRTPStreamState()
    package var rtxSRTP = SRTPStreamState()
    private var rtxSequence: UInt16
    package private(set) var packetsSent: UInt32 = 0
    package private(set) var octetsSent: UInt32 = 0
    package private(set) var resendCount: UInt32 = 0
    /// Nil until a packet is sent again for the first time.
    private var resent: UnsafeMutablePointer<Resent>?
    private var sent = Window()
    /// Last, for a packet touches only its beginning.
    private var rewriter: StreamRewriter

    /// What a packet touches lies at the beginning of the struct, in so many bytes.
    package static var hotByteCount: Int { MemoryLayout<DownStream>.size - StreamRewriter.coldByteCount }

    package init(
        ssrc: UInt32, rtxSSRC: UInt32, isVideo: Bool, clockRate: UInt32, firstSequence: UInt16, firstTimestamp: UInt32
    ) {
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
        self.isVideo = isVideo
        self.clockRate = clockRate
        rewriter = StreamRewriter(firstSequence: firstSequence & 0x3FFF, firstTimestamp: firstTimestamp)
        rtxSequence = firstSequence & 0x3FFF
    }

    /// Frees what the struct points to; the owner calls it once, after the last use.
    package func release() {
        resent?.deallocate()
    }

    /// Forgets the source, so that the next key frame begins anew (the publisher's stream started over).
    ///
    /// What was sent can no longer be asked for: the same numbers may name other packets in the new source's cache.
    package mutating func detachSource() {
        currentLayer = -1
        rewriter.forgetSources()
    }

    /// A layer's publisher began anew: its numbers name other packets now.
    package mutating func sourceBegan(_ layer: Int8) {
        if layer == currentLayer { detachSource() } else { rewriter.forgetSource(layer) }
    }

    /// What headers carry from now on. Under other ones nothing is sent again: a number belongs to one header.
    package mutating func negotiated(payloadType: UInt8, rtxPayloadType: UInt8, descriptorID: UInt8) {
        if payloadType != self.payloadType || descriptorID != self.descriptorID { rewriter.forgetSources() }
        self.payloadType = payloadType
        self.rtxPayloadType = rtxPayloadType
        self.descriptorID = descriptorID
    }

    /// Decides on one packet and names it, or nil when this subscriber does not get it.
    @inline(__always)
    package mutating func admit(_ packet: ReceivedPacket, at now: MonotonicTime) -> StreamRewriter.Numbers? {
        guard isFlowing else { return nil }
        if packet.layer != currentLayer || rewriter.isOutOfReach(extended: packet.extended) {
            let startsHere = currentLayer < 0 || packet.layer == targetLayer || packet.layer == currentLayer
            guard startsHere, packet.isKeyFrame || !isVideo else { return nil }
            rewriter.switchSource(
                to: packet.layer, extended: packet.extended, timestamp: packet.timestamp, clockRate: clockRate, at: now)
            currentLayer = packet.layer
        }
        if packet.payload.isEmpty {
            rewriter.omit(extended: packet.extended)
            return nil
        }
        let highest = rewriter.highestIndex
        guard let numbers = rewriter.numbers(extended: packet.extended, timestamp: packet.timestamp, at: now)
        else { return nil }
        if numbers.index > highest {
            sent.advance(from: highest, to: numbers.index)
        } else {
            // One number must never name two packets: under AES-GCM that would give the authentication key away.
            guard sent.covers(numbers.index, highest: highest), !sent.contains(numbers.index) else { return nil }
        }
        sent.insert(numbers.index)
        // Whether it can be sealed or not: the cipher counts rollovers as we do.
        srtp.used(numbers.index)
        return numbers
    }

    package mutating func countSent(payloadLength: Int) {
        packetsSent &+= 1
        octetsSent &+= UInt32(truncatingIfNeeded: payloadLength)
    }

    /// What must be sent again for one NACKed sequence number, or nil when it is unknown, too fresh or asked too often.
    ///
    /// - Returns: the packet's layer and extended number there, and what its timestamp there is ahead of ours.
    package mutating func resend(
        _ sequence: UInt16, roundTripMilliseconds: UInt64, at now: MonotonicTime
    ) -> (layer: Int8, source: Int64, timestampOffset: UInt32)? {
        let highest = rewriter.highestIndex
        let index = highest - Int64(UInt16(truncatingIfNeeded: highest) &- sequence)
        guard sent.covers(index, highest: highest), sent.contains(index), let run = rewriter.run(of: index),
            mayResend(index, roundTripMilliseconds: roundTripMilliseconds, at: now)
        else { return nil }
        resendCount &+= 1
        return (run.layer, index + run.offset, run.timestampOffset)
    }

    private mutating func mayResend(_ index: Int64, roundTripMilliseconds: UInt64, at now: MonotonicTime) -> Bool {
        let table = resent ?? .allocate(capacity: Window.bitCount)
        if resent == nil {
            table.initialize(repeating: Resent(), count: Window.bitCount)
            resent = table
        }
        let entry = table + Int(index) & (Window.bitCount - 1)
        let name = UInt32(truncatingIfNeeded: index)
        if entry.pointee.index != name { entry.pointee = Resent(index: name) }
        return entry.pointee.allowance.take(at: now, roundTripMilliseconds: roundTripMilliseconds)
    }

    package mutating func nextRTXSequence() -> UInt16 {
        defer { rtxSequence &+= 1 }
        return rtxSequence
    }

    /// A publisher's RTP time in this stream's terms.
    package func rewritten(timestamp: UInt32) -> UInt32 {
        rewriter.rewritten(timestamp: timestamp)
    }

    package var hasSent: Bool { packetsSent > 0 }
}
