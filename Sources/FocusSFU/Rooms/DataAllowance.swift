// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// How much a participant may have sent to others: each message costs time, and each receiver of it some more.
///
/// Sending to one receiver costs the worker some microseconds, and one small packet may hold dozens of messages. What
/// is left is enough for cursors at 60 a second in a room of hundreds. Large reliable messages are free: a file would
/// be broken by the loss of one, its sender pays for them with its uplink, and a slow receiver's backlog bounds them.
struct DataAllowance {
    static let freeByteCount = 4_096
    static let nanosecondsPerMessage: UInt64 = 100_000
    static let nanosecondsPerReceiver: UInt64 = 25_000
    /// What may be spent at once.
    static let burstNanoseconds: UInt64 = 2_000_000_000

    private var spentUntil = MonotonicTime.zero

    /// False when there is not enough left; then nothing is spent.
    mutating func take(byteCount: Int, isReliable: Bool, receivers: Int, at now: MonotonicTime) -> Bool {
        if isReliable, byteCount >= Self.freeByteCount { return true }
        let cost = Self.nanosecondsPerMessage + UInt64(max(0, receivers)) * Self.nanosecondsPerReceiver
        let end = max(now, spentUntil).nanoseconds + cost
        guard end - now.nanoseconds <= Self.burstNanoseconds else { return false }
        spentUntil = MonotonicTime(nanoseconds: end)
        return true
    }
}
