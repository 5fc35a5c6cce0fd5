// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// The sending half of one subscription: what a forwarded packet touches, in one plain struct allocated once.
///
/// ``DownTrack`` owns the memory and decides; the packet path reads and writes it through a pointer.
package struct DownStream {
    /// One packet that was sent, to answer a NACK for it.
    private struct Sent {
        // In this order they take 16 bytes, four to a cache line.
        var timestamp: UInt32 = 0
        var allowance = RetransmissionAllowance()
        var sequence: UInt16 = 0
        var source: UInt16 = 0
        var layer: Int8 = -1
        /// The source it came from is still the one whose cache would be asked.
        var isResendable = true
    }

    package let ssrc: UInt32
    /// Zero for audio, which is sent again as it was.
    package let rtxSSRC: UInt32
    package var payloadType: UInt8 = 0
    package var rtxPayloadType: UInt8 = 0
    /// Negotiated id of the dependency descriptor, zero when the subscriber did not take it.
    package var descriptorID: UInt8 = 0
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
    private var rewriter: StreamRewriter
    private var rtxSequence: UInt16
    private let history: UnsafeMutablePointer<Sent>
    private let historyMask: Int

    package private(set) var packetsSent: UInt32 = 0
    package private(set) var octetsSent: UInt32 = 0
    package private(set) var resendCount: UInt32 = 0

    package init(
        ssrc: UInt32, rtxSSRC: UInt32, isVideo: Bool, clockRate: UInt32, firstSequence: UInt16, firstTimestamp: UInt32
    ) {
        self.ssrc = ssrc
        self.rtxSSRC = rtxSSRC
        self.isVideo = isVideo
        self.clockRate = clockRate
        rewriter = StreamRewriter(firstSequence: firstSequence & 0x3FFF, firstTimestamp: firstTimestamp)
        rtxSequence = firstSequence & 0x3FFF
        let count = isVideo ? 512 : 128
        history = .allocate(capacity: count)
        history.initialize(repeating: Sent(), count: count)
        historyMask = count - 1
    }

    /// Frees what the struct points to; the owner calls it once, after the last use.
    package func release() {
        history.deallocate()
    }

    /// Forgets the source, so that the next key frame begins anew (the publisher's stream started over).
    ///
    /// What was sent can no longer be asked for: the same numbers may name other packets in the new source's cache.
    package mutating func detachSource() {
        currentLayer = -1
        for index in 0...historyMask { history[index].isResendable = false }
    }

    /// Decides on one packet and names it, or nil when this subscriber does not get it.
    @inline(__always)
    package mutating func admit(_ packet: ReceivedPacket, at now: MonotonicTime) -> StreamRewriter.Numbers? {
        guard isFlowing else { return nil }
        if packet.layer != currentLayer {
            let startsHere = currentLayer < 0 || packet.layer == targetLayer
            guard startsHere, packet.isKeyFrame || !isVideo else { return nil }
            rewriter.switchSource(
                extended: packet.extended, timestamp: packet.timestamp, clockRate: clockRate, at: now)
            currentLayer = packet.layer
        }
        if packet.payload.isEmpty {
            rewriter.omit(extended: packet.extended)
            return nil
        }
        let highest = rewriter.highestSequence
        guard let numbers = rewriter.numbers(extended: packet.extended, timestamp: packet.timestamp, at: now)
        else { return nil }
        let index = Int(numbers.sequence) & historyMask
        if packetsSent > 0, !SequenceNumber.isNewer(numbers.sequence, than: highest) {
            // One number must never name two packets: under AES-GCM that would give the authentication key away.
            let isUsed = history[index].layer >= 0 && history[index].sequence == numbers.sequence
            guard !isUsed, SequenceNumber.distance(from: numbers.sequence, to: highest) < historyMask else {
                return nil
            }
        }
        history[index] = Sent(
            timestamp: numbers.timestamp, sequence: numbers.sequence,
            source: UInt16(truncatingIfNeeded: packet.extended), layer: packet.layer)
        return numbers
    }

    /// Where the next packet will be remembered.
    @inline(__always)
    var nextRecord: UnsafeRawPointer {
        UnsafeRawPointer(history + Int(rewriter.highestSequence &+ 1) & historyMask)
    }

    package mutating func countSent(payloadLength: Int) {
        packetsSent &+= 1
        octetsSent &+= UInt32(truncatingIfNeeded: payloadLength)
    }

    /// What must be sent again for one NACKed sequence number, or nil when it is unknown, too fresh or asked too often.
    package mutating func resend(
        _ sequence: UInt16, roundTripMilliseconds: UInt64, at now: MonotonicTime
    ) -> (layer: Int8, source: UInt16, timestamp: UInt32)? {
        let index = Int(sequence) & historyMask
        guard history[index].layer >= 0, history[index].isResendable, history[index].sequence == sequence,
            history[index].allowance.take(at: now, roundTripMilliseconds: roundTripMilliseconds)
        else { return nil }
        resendCount &+= 1
        return (history[index].layer, history[index].source, history[index].timestamp)
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
