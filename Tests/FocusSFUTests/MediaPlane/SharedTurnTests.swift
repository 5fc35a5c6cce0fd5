// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Glibc
import Synchronization
import Testing

@testable import FocusSFU

@Suite("A turn shared between workers")
struct SharedTurnTests {
    /// Plain memory that every lane writes, to be seen by whoever comes next: the thread sanitizer watches.
    private final class Board: @unchecked Sendable {
        // Safety of @unchecked: the shared turn orders all accesses, which is what the test is about.
        let cells = UnsafeMutablePointer<Int>.allocate(capacity: Int(SharedTurn.laneCount))
        let shared: SharedTurn
        let isOver = Atomic<Bool>(false)

        init() {
            cells.initialize(repeating: 0, count: Int(SharedTurn.laneCount))
            let turn = UnsafeMutablePointer<Turn>.allocate(capacity: 1)
            turn.initialize(to: Turn())
            shared = SharedTurn(turn: turn, socket: -1)
        }

        deinit {
            cells.deallocate()
            shared.turn.pointee.release()
            shared.turn.deallocate()
        }

        func help() {
            while let lane = shared.claim() {
                cells[Int(lane)] += 1
                shared.finish()
            }
        }
    }

    @Test("before the first offer and after the last lane there is nothing to claim")
    func claims() {
        let board = Board()
        #expect(board.shared.claim() == nil)
        board.shared.offer()
        let lanes = (0..<SharedTurn.laneCount).map { _ in board.shared.claim() }
        #expect(lanes == (0..<SharedTurn.laneCount).map { $0 })
        #expect(board.shared.claim() == nil)
        for _ in lanes { board.shared.finish() }
        board.shared.waitUntilFinished()
        board.shared.offer()
        #expect(board.shared.claim() == 0)
    }

    @Test("with helpers on other threads every lane is done once in every turn, and its owner sees what they wrote")
    func helpers() async throws {
        let board = Board()
        for number in 0..<2 {
            DispatchQueue(label: "helper \(number)").async {
                while !board.isOver.load(ordering: .relaxed) {
                    board.help()
                    sched_yield()
                }
            }
        }
        try await HTTPTestServer.onThread {
            defer { board.isOver.store(true, ordering: .relaxed) }
            for turn in 1...2_000 {
                board.shared.offer()
                board.help()
                board.shared.waitUntilFinished()
                let lanes = (0..<Int(SharedTurn.laneCount)).map { board.cells[$0] }
                try #require(lanes == Array(repeating: turn, count: lanes.count))
            }
        }
    }
}
