// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Synchronization

/// A worker's large turn, offered to other threads, so that one room is not held to one core.
///
/// The subscribers of a worker are spread over lanes. A turn is forwarded lane by lane; whoever is free, its owner
/// included, takes the next lane and forwards it through the owner's socket. The owner goes on when all lanes are done,
/// so packets keep their order, nothing waits in a queue, nothing is dropped between workers, and what a lane touches
/// belongs to one thread at a time. When nobody has time to help, the owner forwards every lane itself.
///
///     owner:   offer ─▶ lane 0 ─▶ lane 2 ─▶ lane 3 ┐
///     helper:      └──▶ lane 1 ──▶ lane 4 ─────────┴▶ all finished ─▶ next turn
final class SharedTurn: @unchecked Sendable {
    // Safety of @unchecked: `turn` is written by the owner while no lane is claimable and none is unfinished; the
    // claims and the count of finished lanes order those writes before and after what helpers read and write.

    static let laneCount: UInt8 = 8
    /// Fewer datagrams than this are sent sooner than another thread wakes up.
    static let leastDatagramCount = 96

    let turn: UnsafeMutablePointer<Turn>
    let socket: Int32
    /// The offer's number in the upper half, the next lane in the lower.
    private let claims = Atomic<UInt64>(UInt64(SharedTurn.laneCount))
    private let finished = Atomic<Int>(0)

    init(turn: UnsafeMutablePointer<Turn>, socket: Int32) {
        self.turn = turn
        self.socket = socket
    }

    /// Makes the lanes of the current turn claimable. Only the owner calls it, after ``waitUntilFinished()``.
    func offer() {
        finished.store(0, ordering: .relaxed)
        let number = claims.load(ordering: .relaxed) >> 32
        claims.store((number &+ 1) << 32, ordering: .releasing)
    }

    /// The next lane that nobody has taken. Whoever takes one must forward it and call ``finish()``.
    func claim() -> UInt8? {
        var seen = claims.load(ordering: .acquiring)
        while seen & 0xFFFF_FFFF < UInt64(Self.laneCount) {
            let (exchanged, original) = claims.compareExchange(
                expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
            if exchanged { return UInt8(truncatingIfNeeded: seen) }
            seen = original
        }
        return nil
    }

    func finish() {
        finished.add(1, ordering: .releasing)
    }

    /// Returns when every lane is forwarded. The last ones are under way on other threads: a matter of microseconds,
    /// unless the system has just stopped such a thread.
    func waitUntilFinished() {
        var turns = 0
        while finished.load(ordering: .acquiring) < Int(Self.laneCount) {
            turns += 1
            if turns < 2_000 { CDatagramIO_pause() } else { CDatagramIO_yield() }
        }
    }
}

/// The turns that a thread may help with, and the threads that may help with its own.
final class Neighbours: @unchecked Sendable {
    // Safety of @unchecked: written once, before the threads start.
    private var turns: [SharedTurn] = []
    private var loops: [EpollLoop] = []

    func set(turns: [SharedTurn], loops: [EpollLoop]) {
        self.turns = turns
        self.loops = loops
    }

    /// Nobody to help us.
    var isAlone: Bool { loops.isEmpty }

    /// Forwards lanes of others' turns while there are any.
    func help(with forwarder: Forwarder) {
        for shared in turns {
            while let lane = shared.claim() {
                forwarder.egress.use(socket: shared.socket)
                forwarder.forward(shared.turn, lane: lane)
                forwarder.egress.finish()
                shared.finish()
            }
        }
    }

    /// Wakes as many sleeping ones as the work is worth.
    func wake(forDatagrams count: Int) {
        var wanted = min(count / SharedTurn.leastDatagramCount, Int(SharedTurn.laneCount) - 1)
        for loop in loops where wanted > 0 {
            loop.wake()
            wanted -= 1
        }
    }
}
