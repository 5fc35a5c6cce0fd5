// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// What a client has said about single tracks, beside its general choice to get all or none.
///
/// Bounded by the tracks that there are, and for those that there are not by ``awaitedLimit``.
struct SubscriptionWishes {
    /// Tracks asked for before they are published.
    static let awaitedLimit = 256
    /// How long such a track may take to come.
    static let patienceMilliseconds: UInt64 = 60_000
    /// No sid of ours is longer.
    private static let sidLength = 32

    /// How the client wants to see a track, subscribed to it or not.
    struct Settings {
        var isDisabled = false
        var width: UInt32 = 0
        var height: UInt32 = 0
        var quality = LiveKitVideoQuality.high
    }

    private(set) var settings: [String: Settings] = [:]
    private var wanted: Set<String> = []
    private var declined: Set<String> = []
    /// Those of the wanted tracks that have not come yet, and until when they are waited for.
    private var awaited: [String: MonotonicTime] = [:]

    func wants(_ sid: String, byDefault: Bool) -> Bool {
        wanted.contains(sid) || byDefault && !declined.contains(sid)
    }

    /// A track that is there.
    mutating func want(_ sid: String) {
        declined.remove(sid)
        wanted.insert(sid)
    }

    /// A track that is not there yet; false when it cannot be waited for.
    mutating func await(_ sid: String, at now: MonotonicTime) -> Bool {
        guard awaited[sid] == nil else { return true }
        guard awaited.count < Self.awaitedLimit, sid.utf8.count <= Self.sidLength else { return false }
        wanted.insert(sid)
        awaited[sid] = now.advanced(byMilliseconds: Self.patienceMilliseconds)
        return true
    }

    mutating func came(_ sid: String) {
        if !awaited.isEmpty { awaited[sid] = nil }
    }

    mutating func decline(_ sid: String) {
        wanted.remove(sid)
        declined.insert(sid)
    }

    /// Of a track that is there.
    mutating func set(_ settings: Settings, of sid: String) {
        self.settings[sid] = settings
    }

    mutating func forget(_ sid: String) {
        if !settings.isEmpty { settings[sid] = nil }
        if !wanted.isEmpty { wanted.remove(sid) }
        if !declined.isEmpty { declined.remove(sid) }
        if !awaited.isEmpty { awaited[sid] = nil }
    }

    /// Tracks that have not come in time, and are waited for no longer.
    mutating func takeExpired(at now: MonotonicTime) -> [String] {
        guard !awaited.isEmpty else { return [] }
        let expired = awaited.filter { $0.value <= now }.keys.sorted()
        for sid in expired { forget(sid) }
        return expired
    }
}
