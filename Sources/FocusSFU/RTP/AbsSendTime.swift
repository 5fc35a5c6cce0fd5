// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When a packet left its sender: 24 bits, seconds as 6.18 fixed point, so it wraps every 64 s.
///
/// URI `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`. The origin is the sender's own choice.
///
///     | seconds, 6 bits |            fraction, 18 bits            |
package struct AbsSendTime: Equatable, Sendable {
    /// The low 24 bits hold the time.
    package let value: UInt32

    package init(reading value: UnsafeRawBufferPointer) throws(RTPError) {
        var reader = ByteReader(value)
        do throws(ByteReaderError) {
            self.value = try reader.readUInt24()
        } catch {
            throw RTPError(error)
        }
    }

    package init(_ time: MonotonicTime) {
        let seconds = time.nanoseconds / 1_000_000_000 % 64
        let fraction = (time.nanoseconds % 1_000_000_000) << 18 / 1_000_000_000
        value = UInt32(seconds << 18 | fraction)
    }

    /// The middle of a 32.32 NTP timestamp, as senders derive it.
    package init(ntp: UInt64) {
        value = UInt32(truncatingIfNeeded: ntp >> 14) & 0xFF_FFFF
    }

    /// Signed time from `earlier` to this one, right while they are less than 32 s apart.
    package func microseconds(since earlier: Self) -> Int64 {
        // Sign-extends the 24-bit difference.
        let steps = Int32(bitPattern: (value &- earlier.value) << 8) >> 8
        return (Int64(steps) * 1_000_000) >> 18
    }
}
