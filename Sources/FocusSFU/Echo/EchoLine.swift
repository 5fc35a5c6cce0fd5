// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Which packets an echo sends back, and under which numbers. Pure.
///
/// One voice at a time: the first whose packets come keeps the line until nothing came from it for half a second; then
/// it is the next one's. Numbers are the echo's own and have no gaps; timestamps go on as those of the voice do.
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
        /// What is added to the voice's timestamps.
        var offset: UInt32
        var at: MonotonicTime
    }

    private static let silenceMilliseconds: UInt64 = 500
    private static let clockRate: UInt64 = 48_000

    private var voice: Voice?
    private var sequence: UInt16
    private var timestamp: UInt32
    /// Packets that had another voice in their way, came late or were empty.
    package private(set) var passedOver: UInt64 = 0

    package init(firstSequence: UInt16, firstTimestamp: UInt32) {
        sequence = firstSequence
        timestamp = firstTimestamp
    }

    /// Takes a packet that came; nil when it is not sent back.
    package mutating func take(_ header: RTPHeader, at now: MonotonicTime) -> Place? {
        guard header.payloadByteCount > 0 else { return passOver() }
        let isFirst: Bool
        if let known = voice, known.ssrc == header.ssrc {
            // Late packets would need numbers that others have by now.
            guard Int16(bitPattern: header.sequence &- known.sequence) > 0 else { return passOver() }
            isFirst = false
        } else if let known = voice, now.milliseconds(since: known.at) < Self.silenceMilliseconds {
            return passOver()
        } else {
            let pause = voice.map { now.milliseconds(since: $0.at) } ?? 0
            let start = timestamp &+ UInt32(truncatingIfNeeded: pause * Self.clockRate / 1_000)
            voice = Voice(
                ssrc: header.ssrc, sequence: header.sequence, offset: start &- header.timestamp, at: now)
            isFirst = true
        }
        voice?.sequence = header.sequence
        voice?.at = now
        timestamp = header.timestamp &+ (voice?.offset ?? 0)
        defer { sequence &+= 1 }
        return Place(sequence: sequence, timestamp: timestamp, marker: isFirst || header.marker)
    }

    private mutating func passOver() -> Place? {
        passedOver += 1
        return nil
    }
}
