// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import CDatagramIO
import Glibc
import Synchronization

/// One thread, one epoll set, one inbox: the executor of a ``MediaWorker``.
///
/// Jobs of the actor and closures from other threads arrive through the inbox in order; a socket's readiness and the
/// tick are delivered on the same thread, so the actor's state is touched by this thread alone.
///
/// Waking: a producer writes the eventfd only when the loop may sleep. The loop works off its inbox, arms
/// `mayBeAsleep`, looks once more and only then sleeps, so no work is left behind. The tick is a timer that runs by
/// itself: a time limit for each sleep would have the kernel set and stop one around every datagram.
///
/// Reading: at once, but while datagrams come often, reads are spaced (``ReadSpacing``). Work and ticks do not wait for
/// that.
///
/// Fairness: work has ``workNanoseconds`` at a time, then the socket and the tick have their turn. A crowd that joins,
/// or a flood of messages, delays itself and no media.
package final class EpollLoop: SerialExecutor, @unchecked Sendable {
    // Safety of @unchecked: `inbox` is guarded by `lock`; `thread` is written once before the thread serves work, and
    // `ticker` before it is made; everything else is immutable or atomic.
    private enum Work {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    /// What a loop serves. All are called on the loop's thread.
    package protocol Client: AnyObject, Sendable {
        /// Returns how many datagrams were read.
        nonisolated func socketBecameReadable() -> Int
        /// Called about every ``tickMilliseconds``.
        nonisolated func tick()
        /// Called after some work, readiness or tick, before the loop may sleep.
        nonisolated func willSleep()
        /// Called whenever the loop has been awake: work that others offer may be done.
        nonisolated func help()
    }

    package static let tickMilliseconds: UInt32 = 20
    private static let workNanoseconds: UInt64 = 2_000_000

    private let epoll: Int32
    private let wakeup: Int32
    /// Readable at every tick; -1 while there is none.
    private var ticker: Int32 = -1
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var inbox: [Work] = []
    /// Whether the inbox holds anything, to be known without the lock.
    private let hasWork = Atomic<Bool>(false)
    private let mayBeAsleep = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let thread = Atomic<UInt>(0)

    package init() throws {
        let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        let wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard epoll >= 0, wakeup >= 0 else { throw SocketError(call: "epoll_create1", errno: errno) }
        self.epoll = epoll
        self.wakeup = wakeup
        pthread_mutex_init(lock, nil)
        try watch(wakeup)
    }

    deinit {
        close(epoll)
        close(wakeup)
        if ticker >= 0 { close(ticker) }
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    private func watch(_ descriptor: Int32) throws {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.fd = descriptor
        guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            throw SocketError(call: "epoll_ctl", errno: errno)
        }
    }

    /// Starts the thread. It holds the loop and the client until ``stop()``.
    ///
    /// - Parameter socket: without one there is no tick either: the loop sleeps until it is woken.
    package func start(socket: Int32?, client: any Client, name: String) throws {
        if let socket {
            ticker = CDatagramIO_ticker(Self.tickMilliseconds)
            guard ticker >= 0 else { throw SocketError(call: "timerfd_create", errno: -ticker) }
            try watch(ticker)
            try watch(socket)
        }
        let context = Unmanaged.passRetained(ThreadContext(loop: self, client: client, name: name))
        var handle = pthread_t()
        let status = pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<ThreadContext>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard status == 0 else {
            context.release()
            throw SocketError(call: "pthread_create", errno: status)
        }
        pthread_detach(handle)
    }

    /// Ends the thread after the work already queued.
    package func stop() {
        submit { [self] in stopping.store(true, ordering: .relaxed) }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        append(.job(UnownedJob(job)))
    }

    /// Runs `body` on the loop's thread, after what was submitted before it. Callable from any thread.
    package func submit(_ body: @escaping @Sendable () -> Void) {
        append(.closure(body))
    }

    private func append(_ work: Work) {
        pthread_mutex_lock(lock)
        inbox.append(work)
        hasWork.store(true, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(lock)
        wake()
    }

    /// Makes the loop go round once more if it sleeps. Callable from any thread.
    package func wake() {
        if mayBeAsleep.exchange(false, ordering: .sequentiallyConsistent) {
            var one: UInt64 = 1
            _ = write(wakeup, &one, 8)
        }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    package func checkIsolated() {
        precondition(isOnLoop, "entered a media worker from a foreign thread")
    }

    package func isIsolatingCurrentContext() -> Bool? {
        isOnLoop
    }

    private var isOnLoop: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Work taken from the inbox, and how much of it is done.
    private struct Batch {
        var work: [Work] = []
        var done = 0
    }

    /// Takes what is in the inbox when the batch is done; returns whether there is anything to do.
    private func refill(_ batch: inout Batch) -> Bool {
        guard batch.done == batch.work.count else { return true }
        if batch.done > 0 {
            batch.work.removeAll(keepingCapacity: true)
            batch.done = 0
        }
        guard hasWork.load(ordering: .sequentiallyConsistent) else { return false }
        pthread_mutex_lock(lock)
        swap(&batch.work, &inbox)
        hasWork.store(false, ordering: .sequentiallyConsistent)
        pthread_mutex_unlock(lock)
        return !batch.work.isEmpty
    }

    /// Runs what is in the inbox until it is empty or the time is up.
    private func work(_ batch: inout Batch) {
        guard refill(&batch) else { return }
        let start = MonotonicClock.now()
        while refill(&batch), MonotonicClock.now().nanoseconds(since: start) < Self.workNanoseconds {
            let next = batch.work[batch.done]
            batch.done += 1
            switch next {
            case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
            case .closure(let body): body()
            }
        }
    }

    private final class ThreadContext {
        let loop: EpollLoop
        let client: any Client
        let name: String

        init(loop: EpollLoop, client: any Client, name: String) {
            self.loop = loop
            self.client = client
            self.name = name
        }

        func run() {
            CDatagramIO_name_thread(name)
            loop.thread.store(UInt(pthread_self()), ordering: .relaxed)
            loop.serve(client)
        }
    }

    private func serve(_ client: any Client) {
        let capacity = 4
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
        defer { events.deallocate() }
        var batch = Batch()
        var spacing = ReadSpacing()
        while !stopping.load(ordering: .relaxed) {
            work(&batch)
            client.willSleep()
            mayBeAsleep.store(true, ordering: .sequentiallyConsistent)
            let isIdle = !refill(&batch)
            if isIdle, spacing.isSpacing, let pause = spacing.pause(at: MonotonicClock.now()) {
                CDatagramIO_await(wakeup, ticker, pause)
            }
            let ready = epoll_wait(epoll, events, Int32(capacity), isIdle ? -1 : 0)
            mayBeAsleep.store(false, ordering: .sequentiallyConsistent)
            var isTickDue = false
            for index in 0..<max(0, Int(ready)) {
                let descriptor = events[index].data.fd
                guard descriptor == wakeup || descriptor == ticker else {
                    let start = spacing.isSpacing ? MonotonicClock.now() : .zero
                    spacing.read(client.socketBecameReadable(), startingAt: start)
                    continue
                }
                var count: UInt64 = 0
                _ = read(descriptor, &count, 8)
                isTickDue = isTickDue || descriptor == ticker
            }
            client.help()
            if isTickDue {
                client.tick()
                spacing.measure(at: MonotonicClock.now())
                // What came due during a long tick is left out, so that the socket has its turn.
                var count: UInt64 = 0
                _ = read(ticker, &count, 8)
            }
        }
        while refill(&batch) { work(&batch) }
    }
}

/// The machine's monotonic clock. Only shells read it; cores are handed the value.
package enum MonotonicClock {
    package static func now() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }
}

/// A system call that failed, with its errno.
package struct SocketError: Error, CustomStringConvertible {
    package var call: String
    package var errno: Int32

    package init(call: String, errno: Int32) {
        self.call = call
        self.errno = errno
    }

    package var description: String { "\(call): \(String(cString: strerror(errno)))" }
}
