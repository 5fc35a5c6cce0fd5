// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// When a busy socket is read next, as network cards moderate their interrupts: while datagrams come often, a read
/// begins a millisecond after the last one began, and brings what came meanwhile.
///
/// To wake up for one datagram costs as much as to forward it once or twice, and what one read brings for a subscriber
/// can leave as one segmented message. While few datagrams come, each is read at once: another within the millisecond
/// is not likely enough to be worth a delay and a second sleep.
struct ReadSpacing {
    /// From the beginning of a read to that of the next at most: the longest delay of a datagram by this.
    static let longestIntervalNanoseconds: UInt64 = 1_000_000
    /// Datagrams a second from which on reads are spaced, and below which they are no longer. With one in an interval
    /// as many sleeps would be added as saved.
    static let beginsAtRate: UInt64 = 2_000
    static let endsBelowRate: UInt64 = 1_500
    /// What the rate is measured over, so that one picture's packets do not make it.
    static let windowNanoseconds: UInt64 = 200_000_000
    /// A shorter sleep takes longer than it lasts.
    static let shortestPauseNanoseconds: UInt64 = 50_000

    private(set) var isSpacing = false
    /// So long that no more than a batch comes meanwhile: what comes is in the socket's buffer, which may be small.
    private var intervalNanoseconds = longestIntervalNanoseconds
    private var datagrams: UInt64 = 0
    private var windowStart: MonotonicTime?
    private var lastRead = MonotonicTime.zero

    /// A read that began at `start` has brought so many datagrams. The time matters only while reads are spaced.
    mutating func read(_ count: Int, startingAt start: MonotonicTime) {
        datagrams &+= UInt64(count)
        // One that stopped at its limit has left some.
        lastRead = count < MediaPlane.readLimit ? start : .zero
    }

    /// Decides anew at the end of each window; called at every tick.
    mutating func measure(at now: MonotonicTime) {
        if let windowStart {
            let elapsed = now.nanoseconds(since: windowStart)
            guard elapsed >= Self.windowNanoseconds else { return }
            let rate = datagrams * 1_000_000_000 / elapsed
            isSpacing = rate >= (isSpacing ? Self.endsBelowRate : Self.beginsAtRate)
            let batch = UInt64(MediaPlane.batchCount) * 1_000_000_000 / max(1, rate)
            intervalNanoseconds = min(Self.longestIntervalNanoseconds, batch)
        }
        windowStart = now
        datagrams = 0
    }

    /// Nanoseconds to wait before the next read; nil when it may begin.
    func pause(at now: MonotonicTime) -> UInt64? {
        let elapsed = now.nanoseconds(since: lastRead)
        guard isSpacing, elapsed + Self.shortestPauseNanoseconds <= intervalNanoseconds else { return nil }
        return intervalNanoseconds - elapsed
    }
}
