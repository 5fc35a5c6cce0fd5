// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

/// A secret of ours and where it stands in its life.
package struct KeptSecret: Equatable, Sendable {
    package enum Phase: Equatable, Sendable {
        /// On its way into the server's store; nobody has credentials made with it.
        ///
        /// - Parameter revokes: Whether the one before goes at once when this one is there, because somebody knows it;
        ///   its credentials end with it.
        case adding(revokes: Bool)
        /// In the store, and what new credentials are made with.
        case current
        /// In the store for the credentials that are still out.
        ///
        /// - Parameter until: Unix seconds from which nothing made with it is good any more.
        case retiring(until: Int64)
    }

    package let secret: TURNSecret
    package var phase: Phase
    /// Unix seconds.
    package let created: Int64
    /// The longest lifetime of credentials that may have been made with it, seconds.
    package var longestLifetime: Int64

    package init(secret: TURNSecret, phase: Phase, created: Int64, longestLifetime: Int64) {
        self.secret = secret
        self.phase = phase
        self.created = created
        self.longestLifetime = longestLifetime
    }

    /// What people and logs call it.
    package var id: String { secret.fingerprint }

    package var isAdding: Bool {
        if case .adding = phase { true } else { false }
    }

    package var retiringUntil: Int64? {
        if case .retiring(let until) = phase { until } else { nil }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.secret.bytes == right.secret.bytes && left.phase == right.phase && left.created == right.created
            && left.longestLifetime == right.longestLifetime
    }
}
