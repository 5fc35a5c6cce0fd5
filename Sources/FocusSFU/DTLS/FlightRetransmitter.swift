// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Keeps the last handshake flight and says when to send it again (RFC 6347 §4.2.4).
///
/// The first wait is 100 ms, and each one after is twice as long up to 4 s. The RFC suggests 1 s to 60 s; ICE has just
/// shown that the path works, so a lost flight is better repeated soon, and twelve repetitions, OpenSSL's limit, fill
/// 30 s.
struct FlightRetransmitter {
    static let firstWaitMilliseconds: UInt64 = 100
    static let longestWaitMilliseconds: UInt64 = 4_000
    /// More datagrams than the longest flight has.
    static let flightLimit = 32

    private(set) var flight: [[UInt8]] = []
    private(set) var waitMilliseconds = Self.firstWaitMilliseconds
    private(set) var deadline: MonotonicTime?

    /// A new flight went out, which ends the wait for the peer's answer to the one before.
    mutating func sent(_ datagrams: [[UInt8]], at now: MonotonicTime) {
        flight = Array(datagrams.prefix(Self.flightLimit))
        waitMilliseconds = Self.firstWaitMilliseconds
        deadline = now.advanced(byMilliseconds: waitMilliseconds)
    }

    /// The deadline has passed: waits twice as long from now on.
    /// - Parameter datagrams: the flight in its repeated form; nil when it is the kept one.
    mutating func repeated(_ datagrams: [[UInt8]]?, at now: MonotonicTime) {
        if let datagrams { flight = Array(datagrams.prefix(Self.flightLimit)) }
        waitMilliseconds = nextWaitMilliseconds
        deadline = now.advanced(byMilliseconds: waitMilliseconds)
    }

    var nextWaitMilliseconds: UInt64 { min(2 * waitMilliseconds, Self.longestWaitMilliseconds) }

    /// Nothing is left to repeat.
    mutating func stop() {
        flight = []
        deadline = nil
    }
}
