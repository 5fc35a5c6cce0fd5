// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// Why no rotation begins.
package enum RotationRefusal: Error, Equatable, Sendable {
    /// One is under way.
    case underWay(id: String)
    /// As many secrets as ``SecretRing/limit`` are waiting for their credentials to expire.
    case tooManyRetiring(until: Int64)
}

/// The secrets of one realm and the order in which they are replaced.
///
/// A rotation is: a new secret is written down here, put into the server's store, and used once it is seen there; the
/// one before stays in the store until the last credential made with it has expired, and is then taken out and
/// forgotten. The value says what to do next; the shell does it, makes what this becomes durable, and asks again. Each
/// step may be repeated, so that a shell which died anywhere goes on by asking again: a secret is written down before
/// it is in the store and forgotten after it is out.
package struct SecretRing: Equatable, Sendable {
    /// What the shell has to do.
    package enum Step: Equatable, Sendable {
        /// Put it into the store, see that it is there, then call ``confirmAdded(_:now:)``.
        case add(KeptSecret)
        /// Take it out of the store, see that it is gone, then call ``confirmRemoved(_:)``.
        case remove(KeptSecret)
    }

    /// From the time a revoked secret is replaced to its removal: all processes must have noticed the new one, seconds.
    package static let revocationSeconds: Int64 = 5
    /// Secrets of a realm at once: servers try all of them for each new client.
    package static let limit = 8

    /// Oldest first; at most one is being added and at most one is current.
    package private(set) var secrets: [KeptSecret]
    /// For clocks that differ between us and the servers, seconds.
    package let overlapSeconds: Int64

    package init(secrets: [KeptSecret] = [], overlapSeconds: Int64) {
        self.secrets = secrets
        self.overlapSeconds = max(0, overlapSeconds)
    }

    package var current: KeptSecret? { secrets.first { $0.phase == .current } }
    package var adding: KeptSecret? { secrets.first(where: \.isAdding) }

    /// Those whose credentials are good: what the store must hold.
    package func valid(at now: Int64) -> [KeptSecret] {
        secrets.filter { kept in
            switch kept.phase {
            case .current: true
            case .retiring(let until): until > now
            case .adding: false
            }
        }
    }

    /// Begins a rotation; also the way to the first secret.
    ///
    /// - Parameters:
    ///   - secret: New and random.
    ///   - lifetime: Of the credentials that will be made with it, seconds.
    ///   - revokes: Whether the current one goes at once when this one is there.
    package mutating func begin(
        _ secret: TURNSecret, lifetime: Int64, now: Int64, revokes: Bool = false
    ) throws(RotationRefusal) {
        if let adding { throw .underWay(id: adding.id) }
        guard secrets.count < Self.limit else {
            throw .tooManyRetiring(until: secrets.compactMap(\.retiringUntil).min() ?? now)
        }
        secrets.append(
            KeptSecret(secret: secret, phase: .adding(revokes: revokes), created: now, longestLifetime: lifetime))
    }

    /// What to do now, the addition first: that is what people wait for. Nothing is removed while nothing is current.
    package func steps(now: Int64) -> [Step] {
        var steps = adding.map { [Step.add($0)] } ?? []
        if current != nil {
            steps += secrets.filter { $0.retiringUntil.map { $0 <= now } ?? false }.map(Step.remove)
        }
        return steps
    }

    /// The secret is in the store: from now on it is the one, and the one before retires.
    package mutating func confirmAdded(_ id: String, now: Int64) {
        guard let adding, adding.id == id else { return }
        let revokes = adding.phase == .adding(revokes: true)
        for index in secrets.indices {
            switch secrets[index].phase {
            case .adding:
                secrets[index].phase = .current
            case .current:
                let (end, overflow) = now.addingReportingOverflow(secrets[index].longestLifetime + overlapSeconds)
                secrets[index].phase = .retiring(until: revokes ? now + Self.revocationSeconds : overflow ? .max : end)
            case .retiring(let until):
                if revokes { secrets[index].phase = .retiring(until: min(until, now + Self.revocationSeconds)) }
            }
        }
    }

    /// The secret is out of the store.
    package mutating func confirmRemoved(_ id: String) {
        secrets.removeAll { $0.id == id && $0.retiringUntil != nil }
    }

    /// Gives up the secret that is being added. Nobody has credentials of it, so it goes at once.
    package mutating func abandonAdding(now: Int64) {
        for index in secrets.indices where secrets[index].isAdding {
            secrets[index].phase = .retiring(until: now)
        }
    }

    /// Credentials of the current secret live this long from now on; what was longer before is remembered.
    package mutating func use(lifetime: Int64) {
        for index in secrets.indices where secrets[index].phase == .current {
            secrets[index].longestLifetime = max(secrets[index].longestLifetime, lifetime)
        }
    }

    /// Whether the schedule asks for a new secret.
    ///
    /// - Parameter interval: Seconds; nil for no schedule.
    package func isDue(every interval: Int64?, now: Int64) -> Bool {
        guard adding == nil, secrets.count < Self.limit else { return false }
        guard let current else { return true }
        return interval.map { now - current.created >= $0 } ?? false
    }
}
