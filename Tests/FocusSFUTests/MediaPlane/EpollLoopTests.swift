// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Glibc
import NIOConcurrencyHelpers
import Synchronization
import Testing

@testable import FocusSFU

@Suite("Worker loop")
struct EpollLoopTests {
    /// A client that only counts.
    private final class Counter: EpollLoop.Client {
        let socket: Int32
        /// The other end, from which the tests send.
        let far: Int32
        let readable = DispatchSemaphore(value: 0)
        let ticked = DispatchSemaphore(value: 0)
        /// Each datagram counts as so many.
        let weight: Int
        /// When reads and ticks began, in the order of the loop.
        let reads = NIOLockedValueBox<[MonotonicTime]>([])
        let ticks = NIOLockedValueBox<[MonotonicTime]>([])

        init(socket: Int32, far: Int32, weight: Int) {
            self.socket = socket
            self.far = far
            self.weight = weight
        }

        /// The loop's thread holds its client to the end, so the sockets outlive their use.
        deinit {
            close(far)
            close(socket)
        }

        func help() {}
        func willSleep() {}

        func socketBecameReadable() -> Int {
            reads.withLockedValue { $0.append(MonotonicClock.now()) }
            var bytes: [UInt8] = [0, 0, 0, 0]
            var count = 0
            while recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 {
                readable.signal()
                count += weight
            }
            return count
        }

        func tick() {
            ticks.withLockedValue { $0.append(MonotonicClock.now()) }
            ticked.signal()
        }
    }

    /// A loop with a socket pair.
    private final class Rig: Sendable {
        let loop: EpollLoop
        let client: Counter

        init(weight: Int = 1) throws {
            var pair: [Int32] = [0, 0]
            guard socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) == 0 else {
                throw SocketError(call: "socketpair", errno: errno)
            }
            loop = try EpollLoop()
            client = Counter(socket: pair[0], far: pair[1], weight: weight)
            try loop.start(socket: pair[0], client: client, name: "test")
        }

        func stop() {
            loop.stop()
        }
    }

    /// Notices when it is passed by two threads at once.
    private final class Probe: Sendable {
        private let isInside = Atomic<Bool>(false)
        private let overlaps = Atomic<Int>(0)
        private let passes = Atomic<Int>(0)

        var result: (passes: Int, overlaps: Int) {
            (passes.load(ordering: .acquiring), overlaps.load(ordering: .acquiring))
        }

        func pass() {
            if isInside.exchange(true, ordering: .relaxed) { overlaps.add(1, ordering: .relaxed) }
            passes.add(1, ordering: .releasing)
            isInside.store(false, ordering: .relaxed)
        }
    }

    private actor Guarded {
        nonisolated let loop: EpollLoop
        private var count = 0

        nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

        init(loop: EpollLoop) {
            self.loop = loop
        }

        func increment() -> Int {
            loop.checkIsolated()
            count += 1
            return count
        }

        nonisolated func isIsolated() -> Bool? { loop.isIsolatingCurrentContext() }
    }

    @Test("closures of one thread run in the order they were submitted")
    func order() throws {
        let rig = try Rig()
        defer { rig.stop() }
        let seen = NIOLockedValueBox<[Int]>([])
        let done = DispatchSemaphore(value: 0)
        for index in 0..<5_000 { rig.loop.submit { seen.withLockedValue { $0.append(index) } } }
        rig.loop.submit { done.signal() }
        #expect(done.wait(timeout: .now() + 20) == .success)
        #expect(seen.withLockedValue { $0 } == Array(0..<5_000))
    }

    @Test("no closure of many threads is lost or left waiting, and they never overlap")
    func wakeUps() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let probe = Probe()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    // Each waits for its closure, so the loop sleeps and is woken again and again.
                    for _ in 0..<400 {
                        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                            rig.loop.submit {
                                probe.pass()
                                continuation.resume()
                            }
                        }
                    }
                }
            }
        }
        let (passes, overlaps) = probe.result
        #expect(passes == 3_200)
        #expect(overlaps == 0)
    }

    @Test("an actor on the loop runs on its thread and nowhere else")
    func isolation() async throws {
        let rig = try Rig()
        defer { rig.stop() }
        let guarded = Guarded(loop: rig.loop)
        #expect(guarded.isIsolated() == false)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { _ = await guarded.increment() } }
        }
        #expect(await guarded.increment() == 101)
    }

    @Test("a datagram reaches the client, and ticks come without one")
    func socketAndTick() throws {
        let rig = try Rig()
        defer { rig.stop() }
        for _ in 0..<10 { #expect(send(rig.client.far, [1, 2], 2, 0) == 2) }
        for _ in 0..<10 { #expect(rig.client.readable.wait(timeout: .now() + 20) == .success) }
        for _ in 0..<3 { #expect(rig.client.ticked.wait(timeout: .now() + 20) == .success) }
    }

    @Test("datagrams that come often are read a millisecond apart")
    func spacedReads() throws {
        // One datagram counts as several, so that a slow machine spaces its reads as well.
        let rig = try Rig(weight: 3)
        defer { rig.stop() }
        let client = rig.client
        let deadline = MonotonicClock.now().advanced(byMilliseconds: 20_000)
        var distances: [UInt64] = []
        // For two windows of the rate, and once more when the machine stopped this thread for one.
        repeat {
            let begin = client.ticks.withLockedValue { $0.count }
            client.reads.withLockedValue { $0.removeAll() }
            while client.ticks.withLockedValue({ $0.count }) < begin + 40 {
                guard send(client.far, [1, 2], 2, 0) == 2, client.readable.wait(timeout: .now() + 20) == .success else {
                    Issue.record("a datagram was not read")
                    return
                }
            }
            let reads = client.reads.withLockedValue { $0 }
            distances = zip(reads, reads.dropFirst()).map { first, second in second.nanoseconds(since: first) }
        } while distances.contains { $0 > ReadSpacing.windowNanoseconds / 2 } && MonotonicClock.now() < deadline
        // The first window measures; in the last quarter reads are spaced, but for ticks between them.
        let last = distances.suffix(100)
        let early = last.filter { $0 < ReadSpacing.longestIntervalNanoseconds - ReadSpacing.shortestPauseNanoseconds }
        #expect(last.count == 100)
        #expect(early.count <= 20)
    }

    @Test("what was submitted before the stop still runs, and the client is let go")
    func stop() throws {
        weak var client: Counter?
        let ran = NIOLockedValueBox(0)
        do {
            let rig = try Rig()
            client = rig.client
            for _ in 0..<100 { rig.loop.submit { ran.withLockedValue { $0 += 1 } } }
            rig.stop()
        }
        let deadline = MonotonicClock.now().advanced(byMilliseconds: 20_000)
        while client != nil, MonotonicClock.now() < deadline { sched_yield() }
        #expect(client == nil)
        #expect(ran.withLockedValue { $0 } == 100)
    }
}
