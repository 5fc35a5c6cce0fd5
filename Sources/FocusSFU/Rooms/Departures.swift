// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Who has left a room lately, for clients that could not be told then.
///
/// One entry for an identity, and none for one that is back. Beyond the limit the oldest is forgotten.
struct Departures {
    static let maximumCount = 512
    /// A dead socket is noticed after its ping and TCP have given up: within 40 s.
    static let unnoticedMilliseconds: UInt64 = 60_000

    private struct Entry {
        var info: LiveKitParticipantInfo
        var at: MonotonicTime
    }

    private var entries: [String: Entry] = [:]

    mutating func add(_ info: LiveKitParticipantInfo, at now: MonotonicTime) {
        var info = info
        info.metadata = ""
        info.attributes = [:]
        entries[info.identity] = Entry(info: info, at: now)
        if entries.count > Self.maximumCount, let oldest = entries.min(by: { $0.value.at < $1.value.at }) {
            entries[oldest.key] = nil
        }
    }

    mutating func returned(_ identity: String) {
        entries[identity] = nil
    }

    /// Those of whom a socket that was found dead at `time` may not have told, oldest first.
    func infos(since time: MonotonicTime) -> [LiveKitParticipantInfo] {
        entries.values.filter { time.milliseconds(since: $0.at) <= Self.unnoticedMilliseconds }
            .sorted { $0.at < $1.at }.map(\.info)
    }
}
