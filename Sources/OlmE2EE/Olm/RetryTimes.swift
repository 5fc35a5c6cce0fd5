// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

package import CallEvents

/// When servers of others may be asked again, so that neither one that does not answer nor one whose users give reason
/// for ever new questions costs more than a question now and then. In memory: after a restart everybody has a try.
package struct RetryTimes<Key: Hashable & Sendable>: Sendable {
    /// After the first failure; twice as long after each further one.
    static var firstMilliseconds: Milliseconds { 10_000 }
    static var longestMilliseconds: Milliseconds { 3_600_000 }
    /// Answered questions within one window.
    static var questionsOfWindow: Int { 5 }
    static var windowMilliseconds: Milliseconds { 60_000 }
    static var maximumCount: Int { 20_000 }

    private struct Entry {
        var failures = 0
        var notBefore: UnixMilliseconds = 0
        var windowStart: UnixMilliseconds = 0
        var questions = 0
    }

    private var entries: [Key: Entry] = [:]

    package init() {}

    package func isDue(_ key: Key, at now: UnixMilliseconds) -> Bool {
        guard let entry = entries[key] else { return true }
        // A clock that was set back blocks nobody.
        return entry.notBefore <= now || entry.notBefore - now > Self.longestMilliseconds
    }

    package mutating func failed(_ key: Key, at now: UnixMilliseconds) {
        makeRoom(at: now)
        var entry = entries[key] ?? Entry()
        entry.failures += 1
        let delay = Self.firstMilliseconds << Milliseconds(min(entry.failures - 1, 9))
        entry.notBefore = now + min(delay, Self.longestMilliseconds)
        entries[key] = entry
    }

    package mutating func succeeded(_ key: Key, at now: UnixMilliseconds) {
        makeRoom(at: now)
        var entry = entries[key] ?? Entry()
        entry.failures = 0
        if now < entry.windowStart || now - entry.windowStart >= Self.windowMilliseconds {
            entry.windowStart = now
            entry.questions = 0
        }
        entry.questions += 1
        entry.notBefore = entry.questions < Self.questionsOfWindow ? 0 : entry.windowStart + Self.windowMilliseconds
        entries[key] = entry
    }

    private mutating func makeRoom(at now: UnixMilliseconds) {
        guard entries.count >= Self.maximumCount else { return }
        entries = entries.filter { $0.value.notBefore > now }
        if entries.count >= Self.maximumCount { entries = [:] }
    }
}
