// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

import Dispatch
import Glibc

/// A moment by which something that waits on the calling thread must be over.
struct Deadline: Sendable {
    /// Of the monotonic clock, milliseconds.
    let end: UInt64

    init(after milliseconds: UInt64) {
        end = Self.now + milliseconds
    }

    init(at end: UInt64) {
        self.end = end
    }

    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds / 1_000_000 }

    var remaining: UInt64 {
        let now = Self.now
        return end > now ? end - now : 0
    }

    /// Waits until the descriptor can be read from, or written to; false when the time is over.
    func wait(for descriptor: Int32, toWrite: Bool) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(toWrite ? POLLOUT : POLLIN), revents: 0)
            let count = poll(&entry, 1, Int32(clamping: remaining))
            if count > 0 { return true }
            if count == 0 { return false }
            guard errno == EINTR else { return false }
        }
    }
}
