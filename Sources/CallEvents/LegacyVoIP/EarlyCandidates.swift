// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Candidates that came before their invite: kept for a while, and not many of them.
struct EarlyCandidates: Sendable {
    /// Whose they are: call ids alone anybody can guess.
    struct Source: Hashable, Sendable {
        var key: LegacyCallKey
        var sender: UserID
        var partyID: String?

        init(_ header: LegacyCallHeader) {
            key = header.key
            sender = header.sender
            partyID = header.partyID
        }
    }

    private struct Kept {
        var candidates: [CallCandidates.Candidate]
        var until: UnixMilliseconds
    }

    static let maximumSources = 64
    static let maximumCandidates = 128
    static let lifetime: Milliseconds = 60_000

    private var kept: [Source: Kept] = [:]

    /// - Returns: false when there was no room for all of them.
    mutating func keep(_ candidates: [CallCandidates.Candidate], of source: Source, at now: UnixMilliseconds) -> Bool {
        expire(at: now)
        if kept[source] == nil {
            guard kept.count < Self.maximumSources else { return false }
            kept[source] = Kept(candidates: [], until: EventTime.sum(now, Self.lifetime))
        }
        let space = Self.maximumCandidates - (kept[source]?.candidates.count ?? 0)
        kept[source]?.candidates += candidates.prefix(space)
        return candidates.count <= space
    }

    mutating func take(of source: Source, at now: UnixMilliseconds) -> [CallCandidates.Candidate] {
        expire(at: now)
        return kept.removeValue(forKey: source)?.candidates ?? []
    }

    private mutating func expire(at now: UnixMilliseconds) {
        kept = kept.filter { $0.value.until > now }
    }
}
