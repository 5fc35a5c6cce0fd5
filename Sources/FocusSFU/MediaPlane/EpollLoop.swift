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
/// Waking: a producer writes the eventfd only when the loop may sleep. The loop drains, arms `mayBeAsleep`, looks once
/// more and only then sleeps, so no work is left behind.
package final class EpollLoop: SerialExecutor, @unchecked Sendable {
    // Safety of @unchecked: `inbox` is guarded by `lock`; `thread` is written once before the thread serves work;
    // everything else is immutable or atomic.
    private enum Work {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    /// What a loop serves. Both are called on the loop's thread.
    package protocol Client: AnyObject, Sendable {
        nonisolated func socketBecameReadable()
        /// Called about every ``tickMilliseconds``.
        nonisolated func tick()
        /// Called whenever the loop has been awake: work that others offer may be done.
        nonisolated func help()
    }

    package static let tickMilliseconds: Int32 = 20

    private let epoll: Int32
    private let wakeup: Int32
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var inbox: [Work] = []
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
    package func start(socket: Int32, client: any Client, name: String) throws {
        try watch(socket)
        let context = Unmanaged.passRetained(ThreadContext(loop: self, client: client, name: name))
        var handle = pthread_t()
        let status = pthread_create(&handle, nil, { raw in
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

    /// Runs everything in the inbox; returns whether there was anything.
    private func drain(_ batch: inout [Work]) -> Bool {
        pthread_mutex_lock(lock)
        swap(&batch, &inbox)
        pthread_mutex_unlock(lock)
        guard !batch.isEmpty else { return false }
        for work in batch {
            switch work {
            case .job(let job): job.runSynchronously(on: asUnownedSerialExecutor())
            case .closure(let body): body()
            }
        }
        batch.removeAll(keepingCapacity: true)
        return true
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
        var events = [epoll_event](repeating: epoll_event(), count: 4)
        var batch: [Work] = []
        var nextTick = MonotonicClock.now().advanced(byMilliseconds: UInt64(Self.tickMilliseconds))
        while !stopping.load(ordering: .relaxed) {
            while drain(&batch) {}
            mayBeAsleep.store(true, ordering: .sequentiallyConsistent)
            if drain(&batch) {
                mayBeAsleep.store(false, ordering: .sequentiallyConsistent)
                continue
            }
            let untilTick = nextTick.nanoseconds(since: MonotonicClock.now())
            let ready = epoll_wait(epoll, &events, Int32(events.count), Int32((untilTick + 999_999) / 1_000_000))
            mayBeAsleep.store(false, ordering: .sequentiallyConsistent)
            if ready > 0 {
                for event in events.prefix(Int(ready)) {
                    if event.data.fd == wakeup {
                        var count: UInt64 = 0
                        _ = read(wakeup, &count, 8)
                    } else {
                        client.socketBecameReadable()
                    }
                }
            }
            client.help()
            let now = MonotonicClock.now()
            if now >= nextTick {
                client.tick()
                nextTick = now.advanced(byMilliseconds: UInt64(Self.tickMilliseconds))
            }
        }
        while drain(&batch) {}
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
