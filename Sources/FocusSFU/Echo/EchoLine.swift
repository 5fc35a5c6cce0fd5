// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which packets an echo sends back, and under which numbers. Pure.
///
/// One voice at a time: the first that is heard keeps the line until it was silent for half a second, or until ten
/// seconds are over and another is heard; then it is the other's. Numbers are the echo's own and have no gaps.
/// Timestamps go on as those of the voice do, but never back, and never more than a second ahead of the clock: whoever
/// jumps is taken for a new voice.
package struct EchoLine: Sendable {
    /// The header fields of a packet that is sent back.
    package struct Place: Equatable, Sendable {
        package var sequence: UInt16
        package var timestamp: UInt32
        /// The first of a voice: receivers begin their buffers anew.
        package var marker: Bool
    }

    private struct Voice {
        var ssrc: UInt32
        var sequence: UInt16
        /// Of its last packet, as it came.
        var timestamp: UInt32
        /// Since when it has the line.
        var since: MonotonicTime
        /// When the last packet came.
        var at: MonotonicTime
        /// When it was heard last.
        var heardAt: MonotonicTime
    }

    private static let silenceMilliseconds: UInt64 = 500
    private static let longestTurnMilliseconds: UInt64 = 10_000
    /// What Opus sends in silence is shorter, or comes alone every 400 ms (RFC 6716 §2.1.9).
    private static let longestSilentFrame = 10
    private static let loneGapMilliseconds: UInt64 = 200
    private static let ticksPerMillisecond: UInt64 = 48
    /// How far timestamps may be ahead of the clock.
    private static let lead: UInt64 = 48_000
    /// One frame of 20 ms.
    private static let frameTicks: UInt64 = 960

    private let firstTimestamp: UInt32
    private var beganAt: MonotonicTime?
    private var voice: Voice?
    private var sequence: UInt16
    /// Ticks from the first packet to the last; does not wrap.
    private var ticks: UInt64 = 0
    /// Packets that had another voice in their way, came late, were empty or came with impossible times.
    package private(set) var passedOver: UInt64 = 0

    package init(firstSequence: UInt16, firstTimestamp: UInt32) {
        sequence = firstSequence
        self.firstTimestamp = firstTimestamp
    }

    /// Takes a packet that came; nil when it is not sent back.
    ///
    /// - Parameter frameByteCount: of the Opus frame, without encryption.
    package mutating func take(_ header: RTPHeader, frameByteCount: Int, at now: MonotonicTime) -> Place? {
        guard frameByteCount > 0 else { return passOver() }
        if let known = voice, known.ssrc == header.ssrc {
            return goOn(known, header, frameByteCount: frameByteCount, at: now)
        }
        guard frameByteCount > Self.longestSilentFrame, isFree(at: now) else { return passOver() }
        return begin(header, at: now)
    }

    private func isFree(at now: MonotonicTime) -> Bool {
        guard let voice else { return true }
        return now.milliseconds(since: voice.heardAt) >= Self.silenceMilliseconds
            || now.milliseconds(since: voice.since) >= Self.longestTurnMilliseconds
    }

    private mutating func goOn(
        _ known: Voice, _ header: RTPHeader, frameByteCount: Int, at now: MonotonicTime,
    ) -> Place? {
        let step = Int32(bitPattern: header.timestamp &- known.timestamp)
        // Late packets would need numbers that others have by now.
        guard Int16(bitPattern: header.sequence &- known.sequence) > 0, step > 0 else {
            // Nothing but such packets is silence, after which it begins anew.
            let isNew =
                frameByteCount > Self.longestSilentFrame
                && now.milliseconds(since: known.at) >= Self.silenceMilliseconds
            return isNew ? begin(header, at: now) : passOver()
        }
        let isHeard =
            frameByteCount > Self.longestSilentFrame
            && now.milliseconds(since: known.at) < Self.loneGapMilliseconds
        guard ticks + UInt64(step) <= clockTicks(at: now) + Self.lead else { return begin(header, at: now) }
        ticks += UInt64(step)
        voice?.sequence = header.sequence
        voice?.timestamp = header.timestamp
        voice?.at = now
        if isHeard { voice?.heardAt = now }
        return place(marker: header.marker)
    }

    /// Gives the line to a voice from this packet on.
    private mutating func begin(_ header: RTPHeader, at now: MonotonicTime) -> Place? {
        if beganAt == nil {
            beganAt = now
        } else {
            let next = max(ticks + Self.frameTicks, clockTicks(at: now))
            guard next <= clockTicks(at: now) + Self.lead else { return passOver() }
            ticks = next
        }
        let isSame = voice?.ssrc == header.ssrc
        voice = Voice(
            ssrc: header.ssrc, sequence: header.sequence, timestamp: header.timestamp,
            since: isSame ? voice?.since ?? now : now, at: now, heardAt: now)
        return place(marker: true)
    }

    private func clockTicks(at now: MonotonicTime) -> UInt64 {
        beganAt.map { now.milliseconds(since: $0) * Self.ticksPerMillisecond } ?? 0
    }

    private mutating func place(marker: Bool) -> Place {
        defer { sequence &+= 1 }
        return Place(
            sequence: sequence, timestamp: firstTimestamp &+ UInt32(truncatingIfNeeded: ticks), marker: marker)
    }

    private mutating func passOver() -> Place? {
        passedOver += 1
        return nil
    }
}
